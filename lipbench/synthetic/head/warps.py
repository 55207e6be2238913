"""Identity: twenty semantic warps of the template, each linear in its coefficient (1 = one standard deviation), plus
smooth random modes for what has no name, slight asymmetry above all."""

from __future__ import annotations

from functools import cache

import numpy as np

from lipbench.synthetic.head.expression_space import smooth_fields
from lipbench.synthetic.head.relief import EYE_X, EYE_Y, MOUTH_Y
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import template

WARPS = (
    "width",
    "length",
    "depth",
    "jaw",
    "chin",
    "chin_length",
    "nose_projection",
    "bridge",
    "nose_width",
    "nose_length",
    "cheek",
    "brow",
    "slope",
    "eye_spacing",
    "eye_height",
    "eye_tilt",
    "eye_size",
    "mouth_width",
    "lips",
    "mouth_height",
)
DETAIL_MODES = 20
ASYMMETRY = 0.4  # faces are a little lopsided; more looks hurt


def warp_fields(points: Array) -> Array:
    """(20, N, 3) displacement per standard deviation of every warp at (N, 3) template positions."""
    x, y, z = points.T
    ax, sign, zero = np.abs(x), np.sign(x), np.zeros(len(x))
    head = step(-1.30, -0.90, y)
    front = step(0.20, 0.50, z)
    jaw = step(0.0, -0.62, y) * step(-1.30, -0.95, y)
    chin = np.exp(-((x / 0.30) ** 2) - ((y + 0.88) / 0.16) ** 2) * (z > 0)
    tip = np.exp(-((x / 0.17) ** 2) - ((y + 0.19) / 0.10) ** 2) * step(0.60, 0.85, z)
    bridge = np.exp(-((x / 0.11) ** 2) - ((y - 0.07) / 0.14) ** 2) * step(0.50, 0.80, z)
    cheek = np.exp(-(((ax - 0.45) / 0.17) ** 2) - ((y + 0.08) / 0.15) ** 2) * (z > 0)
    brow = np.exp(-((x / 0.45) ** 2) - ((y - 0.32) / 0.08) ** 2) * (z > 0.3)
    eye = np.exp(-(((ax - EYE_X) / 0.24) ** 2) - ((y - EYE_Y) / 0.17) ** 2) * front
    mouth = np.exp(-((x / 0.42) ** 2) - ((y - MOUTH_Y) / 0.20) ** 2) * step(0.10, 0.50, z)
    lips = np.exp(-((x / 0.30) ** 2) - ((y - MOUTH_Y) / 0.13) ** 2) * step(0.40, 0.70, z)
    warps = {
        "width": (0.040 * x * head, zero, zero),
        "length": (zero, 0.030 * (y + 0.2) * head, zero),
        "depth": (zero, zero, 0.025 * z * head),
        "jaw": (0.070 * x * jaw, zero, zero),
        "chin": (zero, zero, 0.040 * chin),
        "chin_length": (zero, -0.036 * chin, zero),
        "nose_projection": (zero, zero, 0.034 * tip),
        "bridge": (zero, zero, 0.026 * bridge),
        "nose_width": (0.17 * x * tip, zero, zero),
        "nose_length": (zero, -0.028 * tip, zero),
        "cheek": (0.018 * sign * cheek, zero, 0.026 * cheek),
        "brow": (zero, zero, 0.020 * brow),
        "slope": (zero, zero, -0.035 * step(0.35, 0.85, y) * (z > 0.2)),
        "eye_spacing": (0.015 * sign * eye, zero, zero),
        "eye_height": (zero, 0.013 * eye, zero),
        "eye_tilt": (zero, (ax - EYE_X) * 0.085 * eye, zero),
        "eye_size": ((x - sign * EYE_X) * 0.055 * eye, (y - EYE_Y) * 0.075 * eye, zero),
        "mouth_width": (0.075 * x * mouth, zero, zero),
        "lips": (zero, (y - MOUTH_Y) * 0.18 * lips, 0.012 * lips),
        "mouth_height": (zero, 0.022 * mouth, zero),
    }
    return np.stack([np.stack(warps[name], -1) for name in WARPS])


def _modes(points: Array) -> Array:
    """(40, N, 3) displacements per standard deviation at (N, 3) template positions: named warps, then random modes."""
    weight = step(-1.30, -0.95, points[:, 1])
    mirror = np.array([-1.0, 1.0, 1.0])
    here = smooth_fields(points, DETAIL_MODES, 0.65, 0.0065, weight, seed=2)
    there = smooth_fields(points * mirror, DETAIL_MODES, 0.65, 0.0065, weight, seed=2) * mirror
    random = 0.5 * (here + there) + ASYMMETRY * 0.5 * (here - there)
    return np.concatenate([warp_fields(points), random])


def extend(points: Array, coefficients: Array) -> Array:
    """(n, 3) displacement by (40,) coefficients at positions off the template (hair)."""
    return np.tensordot(coefficients, _modes(points), 1)


@cache
def identity_modes() -> Array:
    """(40, N, 3) displacements of the template's vertices per standard deviation."""
    t = template()
    modes = _modes(t.points)
    for name in ("eye_l", "eye_r"):
        # Eyeballs move, but stay balls: they have to turn.
        ball = t.groups[name].ravel()
        modes[:, ball] = modes[:, ball].mean(1, keepdims=True)
    modes[:, t.groups["cloth"].ravel()] = 0
    return modes
