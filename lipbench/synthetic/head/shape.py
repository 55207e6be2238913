"""Small functions that the geometry is made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def step(low: float, high: float, x: ArrayLike) -> Array:
    """Smooth step: 0 at `low`, 1 at `high` (which may lie below `low`), zero slope at both ends."""
    t = np.clip((np.asarray(x) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def bump(x: ArrayLike, y: ArrayLike, cx: float, cy: float, sx: float, sy: float) -> Array:
    """Gaussian of height 1 at (cx, cy) with widths sx, sy (value 1/e at that distance)."""
    return np.exp(-(((np.asarray(x) - cx) / sx) ** 2) - ((np.asarray(y) - cy) / sy) ** 2)


def ridge(x: ArrayLike, center: ArrayLike, width: float) -> Array:
    """Gaussian along one axis."""
    return np.exp(-(((np.asarray(x) - np.asarray(center)) / width) ** 2))
