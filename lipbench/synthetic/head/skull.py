"""The smooth base of head and neck: one closed surface of revolution-like sections, before any facial relief.

Three meridian curves (front, side, back) are given by knots; a section joins their points at one parameter t by
half superellipses. Sections are level on the cranium and tilt below the mouth, so that one surface runs along the
jawline, under the chin and down the neck. Units: 1 dm; +x image right, +y up, +z towards the viewer; the origin lies
between the ears. Measures follow common anthropometry (head breadth 148 mm, length 190 mm, height 225 mm).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from lipbench.synthetic.head.shape import Array, step

# front y, front z | side x, side y, side z | back y, back z | front exponent
KNOTS = np.array(
    [
        [1.235, -0.10, 0.000, 1.235, -0.10, 1.235, -0.10, 2.00],
        [1.205, 0.20, 0.270, 1.200, -0.10, 1.195, -0.38, 2.00],
        [1.115, 0.42, 0.445, 1.110, -0.10, 1.090, -0.66, 2.05],
        [0.950, 0.60, 0.585, 0.940, -0.10, 0.920, -0.84, 2.15],
        [0.720, 0.71, 0.680, 0.715, -0.11, 0.700, -0.955, 2.25],
        [0.460, 0.755, 0.725, 0.460, -0.12, 0.450, -0.990, 2.30],
        [0.210, 0.755, 0.725, 0.210, -0.12, 0.200, -0.970, 2.30],
        [-0.040, 0.750, 0.702, -0.040, -0.11, -0.050, -0.900, 2.25],
        [-0.280, 0.755, 0.660, -0.270, -0.10, -0.280, -0.775, 2.15],
        [-0.500, 0.745, 0.608, -0.450, -0.09, -0.430, -0.675, 2.10],
        [-0.690, 0.715, 0.550, -0.575, -0.09, -0.520, -0.615, 2.08],
        [-0.850, 0.690, 0.485, -0.665, -0.10, -0.595, -0.575, 2.06],
        [-0.970, 0.620, 0.430, -0.735, -0.12, -0.655, -0.550, 2.05],
        [-1.030, 0.490, 0.395, -0.800, -0.15, -0.715, -0.535, 2.02],
        [-1.050, 0.330, 0.380, -0.860, -0.17, -0.780, -0.525, 2.00],
        [-1.085, 0.185, 0.375, -0.950, -0.19, -0.860, -0.520, 2.00],
        [-1.200, 0.115, 0.375, -1.080, -0.20, -1.000, -0.525, 2.00],
        [-1.420, 0.080, 0.405, -1.280, -0.22, -1.180, -0.555, 2.00],
        [-1.640, 0.110, 0.500, -1.470, -0.24, -1.350, -0.620, 2.00],
    ]
)
CHIN_ROW, NECK_ROW = 11, 14
BACK_EXPONENT = 2.1


class Skull:
    """The base surface (alpha, t) -> xyz. alpha is the azimuth (0 = front, + = image right), t in [0, 1] runs from
    the crown down to the foot of the neck."""

    def __init__(self) -> None:
        steps = np.diff(KNOTS[:, :7], axis=0)
        front, side, back = (
            np.hypot(steps[:, 0], steps[:, 1]),
            np.hypot(steps[:, 2], steps[:, 3]),
            np.hypot(*steps[:, 5:7].T),
        )
        arc = np.r_[0, np.cumsum(0.45 * front + 0.3 * side + 0.25 * back)]
        #: length of the parameter t in dm, a mean over the three curves
        self.length = float(arc[-1])
        self.knots = arc / arc[-1]
        self._curves = PchipInterpolator(self.knots, KNOTS)
        self.t_chin, self.t_neck = float(self.knots[CHIN_ROW]), float(self.knots[NECK_ROW])

    def surface(self, alpha: Array, t: Array) -> Array:
        """(...) alpha, (...) t -> (..., 3)."""
        alpha, t = np.broadcast_arrays(alpha, t)
        front_y, front_z, side_x, side_y, side_z, back_y, back_z, exponent = np.moveaxis(self._curves(t), -1, 0)
        cos, sin = np.cos(alpha), np.sin(alpha)
        forward = cos >= 0
        depth = np.where(forward, front_z - side_z, side_z - back_z)
        n = np.where(forward, exponent, BACK_EXPONENT)
        flat = np.abs(sin) / np.maximum(side_x, 1e-6)
        deep = np.abs(cos) / np.maximum(depth, 1e-6)
        r = (flat**n + deep**n) ** (-1 / n)
        share = np.clip(r * np.abs(cos) / np.maximum(depth, 1e-6), 0, 1)
        y = side_y + (np.where(forward, front_y, back_y) - side_y) * share**1.15
        return np.stack([r * sin, y, side_z + r * cos], -1)

    def at_height(self, alpha: Array, y: Array) -> Array:
        """Parameter t at which the meridian alpha passes height y, by bisection (heights fall along t)."""
        low, high = np.zeros_like(y), np.full_like(y, 0.93)
        for _ in range(24):
            middle = (low + high) / 2
            above = self.surface(alpha, middle)[..., 1] > y
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return (low + high) / 2

    def locate(self, x: Array, y: Array) -> tuple[Array, Array]:
        """(alpha, t) of the front surface point seen at (x, y), |x| < 0.7 and y above the chin; Newton's method."""
        x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
        grid = np.linspace(0, self.t_neck, 400)
        t = np.interp(-y, -self._curves(grid)[:, 0], grid)
        alpha = np.clip(x / 0.75, -1.4, 1.4)
        for _ in range(30):
            p = self.surface(alpha, t)
            pa = (self.surface(alpha + 1e-5, t) - p)[..., :2] / 1e-5
            pt = (self.surface(alpha, t + 1e-6) - p)[..., :2] / 1e-6
            ex, ey = x - p[..., 0], y - p[..., 1]
            det = pa[..., 0] * pt[..., 1] - pa[..., 1] * pt[..., 0]
            det = np.where(np.abs(det) < 1e-6, 1e-6, det)
            alpha = np.clip(alpha + 0.9 * np.clip((ex * pt[..., 1] - ey * pt[..., 0]) / det, -0.2, 0.2), -1.55, 1.55)
            t = np.clip(t + 0.9 * np.clip((pa[..., 0] * ey - pa[..., 1] * ex) / det, -0.1, 0.1), 0.01, self.t_neck)
        return alpha, t

    def relief_weight(self, t: Array, z: Array) -> Array:
        """1 on the face, fading to 0 towards the ears and under the chin: where facial relief applies."""
        return step(0.10, 0.45, z) * step(float(self.knots[CHIN_ROW + 2]), float(self.knots[CHIN_ROW]), t)


@cache
def skull() -> Skull:
    """The one base surface."""
    return Skull()
