"""Out-of-focus rooms to put behind a head."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def background(height: int, width: int, rng: np.random.Generator, light: float = 1.0) -> NDArray[np.uint8]:
    """A wall with furniture, a window or lamps, seen through a wide aperture.

    Args:
        light: exposure; 0.5 is a dim room.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    size = 240  # drawn small: everything is blurred anyway
    h, w = size, max(2, round(size * width / height))
    yy, xx = np.mgrid[0:h, 0:w].astype(np.float64)
    yy, xx = yy / h, xx / w
    hue = rng.uniform(0, 1)
    wall = _color(hue, rng.uniform(0.04, 0.24), rng.uniform(0.22, 0.62))
    image: NDArray[Any] = np.broadcast_to(wall, (h, w, 3)).copy()
    # light falls off from one corner
    cx, cy = rng.uniform(-0.2, 1.2), rng.uniform(-0.4, 0.4)
    image *= (0.62 + 0.55 * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / rng.uniform(0.5, 1.4)))[..., None]
    # a lower band: wainscot, table, sofa
    if rng.uniform() < 0.7:
        edge = rng.uniform(0.55, 0.85)
        image = np.where((yy > edge)[..., None], image * rng.uniform(0.45, 0.85) * _tint(rng), image)
    # upright things: shelves, door frames, curtains, plants
    for _ in range(int(rng.integers(2, 6))):
        left, wide = rng.uniform(-0.1, 1.0), rng.uniform(0.03, 0.22)
        top, bottom = (rng.uniform(-0.2, 0.4), 1.1) if rng.uniform() < 0.7 else (-0.1, rng.uniform(0.3, 0.8))
        inside = (xx > left) & (xx < left + wide) & (yy > top) & (yy < bottom)
        shade = _color(hue + rng.normal(0, 0.15), rng.uniform(0.1, 0.5), rng.uniform(0.10, 0.75))
        image = np.where(inside[..., None], 0.25 * image + 0.75 * shade, image)
    if rng.uniform() < 0.45:  # a window or a screen
        left, top, wide, tall = rng.uniform(-0.1, 0.8), rng.uniform(-0.1, 0.3), rng.uniform(0.15, 0.4), 0.45
        inside = (xx > left) & (xx < left + wide) & (yy > top) & (yy < top + tall)
        image = np.where(inside[..., None], np.array([0.85, 0.92, 1.0]) * rng.uniform(0.7, 1.0), image)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(4.0, 11.0))
    # discs of confusion of small lamps
    for _ in range(int(rng.integers(0, 7))):
        x, y, r = rng.uniform(0, w), rng.uniform(0, 0.7 * h), rng.uniform(4, 11)
        disc = np.clip(r - np.hypot(xx * w - x, yy * h - y), 0, 1)
        image += disc[..., None] * _color(rng.uniform(0.02, 0.18), 0.5, 0.9) * rng.uniform(0.10, 0.40)
    image = cv2.GaussianBlur(np.clip(image * light, 0, 1), (0, 0), 1.2)
    image = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    out: NDArray[np.uint8] = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    return out


def _tint(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.clip(1 + rng.normal(0, 0.06, 3), 0.8, 1.2)


def _color(hue: float, saturation: float, value: float) -> NDArray[np.float64]:
    """HSV in [0, 1] -> RGB in [0, 1]."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue) % 6
    out: NDArray[np.float64] = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return out
