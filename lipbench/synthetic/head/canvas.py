"""Where every texel of the atlas lies on the template: computed once, painted by every identity."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from lipbench.synthetic.head import eyes, mouth
from lipbench.synthetic.head.atlas import REGIONS, head_alpha, head_t
from lipbench.synthetic.head.shape import Array
from lipbench.synthetic.head.skull import skull
from lipbench.synthetic.head.template import mouth_v, template


class Canvas(NamedTuple):
    """Texel positions of one rectangle, all (height, width) float32.

    Attributes:
        x: dm.
        y: dm.
        z: dm.
        alpha: azimuth.
        ring: ring coordinate of the lips or lid loop number (9 elsewhere).
        theta: column angle of loops.
    """

    x: Array
    y: Array
    z: Array
    alpha: Array
    ring: Array
    theta: Array

    def crop(self, rows: slice, columns: slice) -> Canvas:
        """A part of the rectangle."""
        return Canvas(*(a[rows, columns] for a in self))


def _canvas(xyz: Array, alpha: Array, ring: Array, theta: Array) -> Canvas:
    arrays = (xyz[..., 0], xyz[..., 1], xyz[..., 2], alpha, ring, theta)
    return Canvas(*(np.ascontiguousarray(a, np.float32) for a in arrays))


def _along(values: Array, v: Array, rows: Array) -> Array:
    """Interpolate (R, K, C) loops given at increasing v of the rows to (height,) rows."""
    out = np.empty((len(rows), *values.shape[1:]))
    for k in range(values.shape[1]):
        for c in range(values.shape[2]):
            out[:, k, c] = np.interp(rows, v, values[:, k, c])
    return out


def _loops(name: str, loops: Array, v: Array, coordinate: Array) -> Canvas:
    region = REGIONS[name]
    rows = np.linspace(0, 1, region.height)
    k = loops.shape[1]
    down = _along(np.concatenate([loops, loops[:, :1]], 1), v, rows)  # (height, K + 1, 3)
    at = np.linspace(0, k, region.width)
    i = np.minimum(at.astype(int), k - 1)
    f = (at - i)[None, :, None]
    xyz = down[:, i] * (1 - f) + down[:, i + 1] * f
    ring = np.broadcast_to(np.interp(rows, v, coordinate)[:, None], xyz.shape[:2])
    theta = np.broadcast_to(np.linspace(0, 2 * np.pi, region.width)[None], xyz.shape[:2])
    return _canvas(xyz, np.arctan2(xyz[..., 0], xyz[..., 2] + 0.1), ring, theta)


@cache
def canvas(name: str) -> Canvas:
    """Texel positions of the rectangles "head", "mouth", "lid_l", "lid_r"."""
    t = template()
    if name == "head":
        u, v = REGIONS["head"].grid()
        alpha = np.broadcast_to(head_alpha(u[0])[None], u.shape)
        xyz = skull().surface(alpha, np.broadcast_to(head_t(v[:, :1]), v.shape))
        return _canvas(xyz, alpha, np.full(u.shape, 9.0), 0 * u)
    if name == "mouth":
        loops = t.points[t.groups["lips"]]
        return _loops(name, loops, mouth_v(mouth.RINGS), mouth.RINGS)
    loops = t.points[t.groups[name]]
    return _loops(name, loops, np.linspace(0, 1, len(loops)), np.arange(len(eyes.LOOPS), dtype=float))


@cache
def face_part() -> tuple[slice, slice]:
    """Rows and columns of the rectangle "head" that hold the face: all there is to paint but hair and plain skin."""
    c = canvas("head")
    inside = (c.z > -0.05) & (c.y < 0.78) & (c.y > -1.15)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
