"""The texture atlas: one image for the whole head, cut into named rectangles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.synthetic.head.shape import Array

SIZE = (1856, 1024)  # height, width in texels


@dataclass(frozen=True)
class Region:
    """A rectangle of the atlas, in texels."""

    x: int
    y: int
    width: int
    height: int

    def texels(self, u: ArrayLike, v: ArrayLike) -> NDArray[np.float32]:
        """(...) u, v in [0, 1] -> (..., 2) texel coordinates between the centers of the rectangle's border texels."""
        u, v = np.broadcast_arrays(np.asarray(u, np.float64), np.asarray(v, np.float64))
        uv = [self.x + 0.5 + u * (self.width - 1), self.y + 0.5 + v * (self.height - 1)]
        return np.stack(uv, -1).astype(np.float32)

    def grid(self) -> tuple[Array, Array]:
        """(height, width) u and v at the texel centers."""
        v, u = np.meshgrid(np.linspace(0, 1, self.height), np.linspace(0, 1, self.width), indexing="ij")
        return u, v

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of the rectangle in an array of the atlas."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


REGIONS = {
    "head": Region(0, 0, 1024, 1024),
    "mouth": Region(0, 1024, 1024, 96),
    "lid_l": Region(0, 1120, 512, 64),
    "lid_r": Region(512, 1120, 512, 64),
    "eye": Region(0, 1184, 256, 256),
    "teeth_u": Region(256, 1184, 384, 128),
    "teeth_l": Region(640, 1184, 384, 128),
    "gum": Region(256, 1312, 128, 64),
    "lash": Region(256, 1376, 128, 64),
    "tongue": Region(384, 1312, 256, 128),
    "bag": Region(640, 1312, 256, 128),
    "ear": Region(896, 1312, 128, 128),
    "cloth": Region(0, 1440, 1024, 160),
    "hair": Region(0, 1600, 1024, 256),
}

# The front of the head gets 1 + STRETCH times the mean resolution, the back 1 - STRETCH times; the same from brows to
# chin against crown and neck.
STRETCH = 0.55
FACE_T, FACE_SPAN, FACE_GAIN = 0.45, 0.20, 1.4


def head_u(alpha: ArrayLike) -> Array:
    """Azimuth in [-pi, pi] -> u in [0, 1] of the head's rectangle."""
    alpha = np.asarray(alpha, np.float64)
    return (alpha + STRETCH * np.sin(alpha)) / (2 * np.pi) + 0.5


def head_v(t: ArrayLike) -> Array:
    """Parameter t in [0, 1] -> v in [0, 1] of the head's rectangle."""
    grid = np.linspace(0, 1, 2049)
    total = np.cumsum(1 + FACE_GAIN * np.exp(-(((grid - FACE_T) / FACE_SPAN) ** 2)))
    return np.interp(np.asarray(t, np.float64), grid, (total - total[0]) / (total[-1] - total[0]))


def head_t(v: ArrayLike) -> Array:
    """Inverse of `head_v`, by interpolation."""
    grid = np.linspace(0, 1, 2049)
    return np.interp(np.asarray(v, np.float64), head_v(grid), grid)


def head_alpha(u: ArrayLike) -> Array:
    """Inverse of `head_u`, by interpolation."""
    grid = np.linspace(-np.pi, np.pi, 8193)
    return np.interp(np.asarray(u, np.float64), head_u(grid), grid)
