"""The rendered head in the source's pixels: where it covers, and its colors without what lies behind."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.lipnerf.composite.options import Render

Map = NDArray[np.float32]
Window = tuple[int, int, int, int]  # x0, y0, x1, y1 px


def place(render: Render, window: Window, size: tuple[int, int]) -> tuple[Map, Map]:
    """Premultiplied colors (h, w, 3) and matte (h, w) of a render inside a window of the source.

    Args:
        size: (height, width) of the source.
    """
    rgb, alpha = render.rgb.astype(np.float32), render.alpha.astype(np.float32)
    x0, y0, x1, y1 = render.box or (0, 0, size[1], size[0])
    if alpha.shape != (y1 - y0, x1 - x0):
        shrinks = alpha.shape[0] > y1 - y0
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        rgb = np.asarray(cv2.resize(rgb, (x1 - x0, y1 - y0), interpolation=how), np.float32)
        alpha = np.asarray(cv2.resize(alpha, (x1 - x0, y1 - y0), interpolation=how), np.float32)
    height, width = window[3] - window[1], window[2] - window[0]
    colors, matte = np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32)
    left, top = max(x0, window[0]), max(y0, window[1])
    right, bottom = min(x1, window[2]), min(y1, window[3])
    if left < right and top < bottom:
        here = (slice(top - window[1], bottom - window[1]), slice(left - window[0], right - window[0]))
        there = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        colors[here], matte[here] = rgb[there], np.clip(alpha[there], 0, 1)
    return colors, matte


def straight(colors: Map, matte: Map) -> Map:
    """Colors (h, w, 3) freed of the matte; just outside of the head those of its edge go on, for feathering."""
    solid = matte > 0.3
    free, opacity = (np.asarray(cv2.GaussianBlur(x, (0, 0), 2.0), np.float32) for x in (colors, matte))
    np.maximum(opacity, 1e-4, out=opacity)
    cv2.copyTo(colors, solid.view(np.uint8), free)
    cv2.copyTo(matte, solid.view(np.uint8), opacity)
    free /= opacity[..., None]
    return np.clip(free, 0, 1, out=free)


def leveled(matte: Map, levels: tuple[float, float]) -> Map:
    """The matte stretched so that the lower level is 0 and the upper 1."""
    low, high = levels
    return np.clip((matte - low) / (high - low), 0, 1)


def feathered(matte: Map, pixels: float) -> Map:
    """The matte with its edges softened over about `pixels` to either side."""
    return matte if pixels <= 0 else np.asarray(cv2.GaussianBlur(matte, (0, 0), 0.6 * pixels), np.float32)


def within(matte: Map, head: NDArray[np.bool_], reach: float) -> Map:
    """The matte, faded out over the last third of `reach` px outside of the source's head (h, w)."""
    distance = cv2.distanceTransform((~head).astype(np.uint8), cv2.DIST_L2, 3)
    return matte * np.clip((reach - distance) / (reach / 3), 0, 1)
