"""Shoulders and clothes: one sheet from a collar round the neck down to the chest."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from lipbench.synthetic.head.shape import Array, step

ROWS, COLUMNS = 44, 72


def torso() -> tuple[Array, Array, Array]:
    """(ROWS, COLUMNS, 3) points from the inside of the collar outwards and down, with (u, v) in [0, 1]."""
    t = np.linspace(0, 1, ROWS)
    b = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)
    knots = [0.0, 0.04, 0.08, 0.13, 0.26, 0.46, 0.70, 1.0]
    half_width = PchipInterpolator(knots, [0.40, 0.44, 0.475, 0.50, 0.95, 1.62, 1.92, 2.00])(t)[:, None]
    side_y = PchipInterpolator(knots, [-1.32, -1.245, -1.24, -1.285, -1.45, -1.64, -2.10, -3.30])(t)[:, None]
    front_drop = PchipInterpolator(knots, [0.22, 0.22, 0.225, 0.23, 0.22, 0.30, 0.20, 0.0])(t)[:, None]
    back_rise = PchipInterpolator(knots, [0.10, 0.10, 0.10, 0.10, 0.08, 0.06, 0.0, 0.0])(t)[:, None]
    front = PchipInterpolator(knots, [0.30, 0.345, 0.375, 0.39, 0.56, 0.78, 0.92, 0.96])(t)[:, None]
    back = PchipInterpolator(knots, [0.33, 0.37, 0.40, 0.42, 0.52, 0.60, 0.66, 0.70])(t)[:, None]
    cos, sin = np.cos(b)[None], np.sin(b)[None]
    forward = np.clip(cos, 0, 1) ** 1.4
    backward = np.clip(-cos, 0, 1) ** 1.4
    x = half_width * np.sign(sin) * np.abs(sin) ** 0.92
    y = side_y - front_drop * forward + back_rise * backward
    z = -0.235 + np.where(cos > 0, front, back) * cos - 0.05 * step(0.0, 0.3, t)[:, None]
    u, v = np.broadcast_arrays(b[None] / (2 * np.pi), t[:, None])
    return np.stack([x, y, z], -1), u, v
