"""Cutting a track's face out of the frames, with the geometry of syncnet_python's `run_pipeline.py`.

With s half of the larger box edge (smoothed) the crop is the square of 2.8 s whose center lies 0.4 s below the box's
center; what lies outside of the picture is gray 110.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.signal
from numpy.typing import NDArray

from lipbench.core.errors import NoFace
from lipbench.metrics.sync.constants import CROP_PADDING, CROP_SCALE, MEDIAN_FRAMES


@dataclass(frozen=True)
class CropPath:
    """Smoothed squares of a track. x, y: (T,) center px; s: (T,) half edge px."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    s: NDArray[np.float64]


def crop_path(boxes: NDArray[np.floating]) -> CropPath:
    """Centers and half edges of (T, 4) boxes, each through a median filter of 13.

    The filter pads with zeros, as the published one does: the first and last six values lean towards the smallest in
    reach. Tracks of fewer than 13 frames, which the published min_track rules out, get the largest odd kernel that
    fits, or the padding would win.
    """
    x1, y1, x2, y2 = np.asarray(boxes, dtype=np.float64).T
    kernel = min(MEDIAN_FRAMES, (len(x1) - 1) // 2 * 2 + 1)
    smooth = [
        np.asarray(scipy.signal.medfilt(v, kernel_size=kernel), dtype=np.float64)
        for v in ((x1 + x2) / 2, (y1 + y2) / 2, np.maximum(y2 - y1, x2 - x1) / 2)
    ]
    return CropPath(*smooth)


def crop(frame: NDArray[np.uint8], x: float, y: float, s: float, size: int = 224) -> NDArray[np.uint8]:
    """(size, size, 3) square around a face, in the frame's channel order.

    Same pixels as padding the whole frame by int(1.8 s) and slicing it, with its truncations.

    Args:
        frame: (H, W, 3).
        x: center of the face box, px.
        y: center of the face box, px.
        s: half its edge, px.
        size: edge of the result; resized with cv2.INTER_LINEAR.

    Raises:
        NoFace: the square lies outside of the picture or has no pixel.
    """
    pad = int(s * (1 + 2 * CROP_SCALE))
    cx, cy = x + pad, y + pad
    top, bottom = int(cy - s), int(cy + s * (1 + 2 * CROP_SCALE))
    left, right = int(cx - s * (1 + CROP_SCALE)), int(cx + s * (1 + CROP_SCALE))
    h, w = frame.shape[:2]
    # Back to the frame's own coordinates, inside of what padding would have made.
    top, bottom = max(top, 0) - pad, min(bottom, h + 2 * pad) - pad
    left, right = max(left, 0) - pad, min(right, w + 2 * pad) - pad
    if bottom <= top or right <= left:
        raise NoFace(
            f"there is nothing to cut out at ({x:.1f}, {y:.1f}) with half edge {s:.1f} px",
            f"the picture is {w} x {h} px",
            "check the face boxes",
        )
    t, b, l_, r = (int(np.clip(v, 0, n)) for v, n in ((top, h), (bottom, h), (left, w), (right, w)))
    inside: NDArray[Any] = frame[t:b, l_:r]
    if (t, b, l_, r) != (top, bottom, left, right):
        whole = np.full((bottom - top, right - left, 3), CROP_PADDING, np.uint8)
        whole[t - top : b - top, l_ - left : r - left] = inside
        inside = whole
    resized: NDArray[Any] = cv2.resize(inside, (size, size))
    return resized
