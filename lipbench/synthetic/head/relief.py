"""Facial relief: what nose, brows, cheeks, chin and folds add to the base surface, as heights towards the viewer."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from lipbench.synthetic.head.shape import Array, bump, ridge, step
from lipbench.synthetic.head.skull import skull

MOUTH_Y, MOUTH_HALF = -0.505, 0.250  # center height and half width of the closed mouth
EYE_X, EYE_Y, EYE_RADIUS = 0.318, 0.125, 0.122  # eyeball center |x|, y, radius
NASION_Y, TIP_Y, SUBNASALE_Y = 0.200, -0.205, -0.290

# Nose: height of the ridge above the base along the midline, and half width of its cross-section.
_RIDGE = PchipInterpolator(
    [-0.335, -0.300, -0.280, -0.255, -0.225, -0.185, -0.120, 0.000, 0.120, 0.200, 0.300],
    [0.000, 0.012, 0.060, 0.150, 0.212, 0.222, 0.178, 0.112, 0.062, 0.034, 0.000],
)
_WIDTH = PchipInterpolator(
    [-0.335, -0.280, -0.225, -0.185, -0.120, 0.000, 0.120, 0.200, 0.300],
    [0.110, 0.118, 0.122, 0.112, 0.096, 0.088, 0.084, 0.100, 0.140],
)


def nose(x: Array, y: Array) -> Array:
    """Height of the nose: a rounded ridge that runs out softly into the cheeks, tip, wings, nostrils."""
    ax = np.abs(x)
    # The lower edge rises from the columella to the wings.
    lifted = y - 0.034 * np.clip(ax / 0.13, 0, 1.3) ** 2 * step(-0.10, -0.25, y)
    inside = np.clip(lifted, -0.335, 0.300)
    height, width = _RIDGE(inside), _WIDTH(inside)
    z = height / (1 + (ax / width) ** 2.8) * step(0.34, 0.12, ax)
    z += 0.020 * bump(ax, y, 0.0, TIP_Y + 0.010, 0.075, 0.055)
    z += 0.066 * bump(ax, y, 0.118, TIP_Y - 0.012, 0.050, 0.050)  # wings
    z -= 0.024 * bump(ax, y, 0.186, TIP_Y + 0.005, 0.030, 0.060)  # groove behind the wing
    z -= 0.040 * bump(ax, y, 0.062, SUBNASALE_Y + 0.026, 0.032, 0.018)  # nostrils
    z += 0.022 * bump(ax, y, 0.0, SUBNASALE_Y + 0.012, 0.022, 0.030)  # columella
    return z


def relief(x: Array, y: Array) -> Array:
    """Height (dm) above the base surface at front coordinates (x, y); symmetric in x."""
    ax = np.abs(x)
    z = nose(x, y)
    z -= 0.082 * bump(ax, y, EYE_X - 0.02, EYE_Y + 0.005, 0.190, 0.125)  # eye sockets
    z -= 0.050 * bump(ax, y, 0.150, EYE_Y + 0.02, 0.060, 0.100)  # inner corner, by the nose
    z += 0.040 * bump(ax, y, 0.290, 0.315, 0.220, 0.075)  # brow
    z += 0.012 * bump(ax, y, 0.0, 0.300, 0.120, 0.080)  # glabella
    z += 0.014 * bump(ax, y, 0.240, 0.620, 0.240, 0.200)  # forehead
    z += 0.052 * bump(ax, y, 0.400, -0.100, 0.190, 0.150)  # cheekbone, cheek
    z += 0.030 * bump(ax, y, 0.330, -0.260, 0.170, 0.170)
    z -= 0.018 * bump(ax, y, 0.500, -0.420, 0.150, 0.180)  # hollow before the jaw muscle
    z += 0.062 * bump(ax, y, 0.0, MOUTH_Y + 0.03, 0.310, 0.190)  # muzzle: teeth push the lips out
    z -= 0.012 * bump(ax, y, 0.0, -0.375, 0.028, 0.055)  # philtrum
    z += 0.005 * bump(ax, y, 0.048, -0.375, 0.020, 0.055)
    fold = 0.175 + 0.40 * np.clip(-0.24 - y, 0, 1)  # from the nose wing to beside the mouth
    z -= 0.007 * ridge(ax, fold, 0.040) * step(-0.56, -0.42, y) * step(-0.20, -0.30, y)
    z -= 0.034 * bump(ax, y, 0.0, MOUTH_Y - 0.185, 0.170, 0.060)  # crease above the chin
    z += 0.062 * bump(ax, y, 0.0, -0.835, 0.190, 0.120)  # chin
    return z


def face_point(x: Array, y: Array) -> Array:
    """(..., 3) surface point seen from the front at (x, y), relief included."""
    alpha, t = skull().locate(x, y)
    return head_point(alpha, t)


def head_point(alpha: Array, t: Array) -> Array:
    """(..., 3) base surface with relief at (alpha, t)."""
    base = skull().surface(alpha, t)
    base[..., 2] += relief(base[..., 0], base[..., 1]) * skull().relief_weight(np.asarray(t), base[..., 2])
    return base
