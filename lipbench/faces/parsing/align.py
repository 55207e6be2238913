"""How the image behind or below a head moved from one frame to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Longest side at which motion is measured, px.
_SIDE = 360
IDENTITY = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class ImageMotion:
    """Similarities between frames, measured on corners inside masks that are tracked by Lucas-Kanade.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        mask: (H, W) bool of a frame's number, where the thing that moves is seen.
    """

    def __init__(self, frames: NDArray[np.uint8], mask: Callable[[int], NDArray[np.bool_]]) -> None:
        self.frames, self.mask = frames, mask
        height, width = frames.shape[1:3]
        self.factor = min(1.0, _SIDE / max(height, width))
        self._size = (round(width * self.factor), round(height * self.factor))
        self._small: dict[int, NDArray[np.uint8]] = {}

    def _gray(self, t: int) -> NDArray[np.uint8]:
        if t not in self._small:
            if len(self._small) > 128:
                self._small.pop(next(iter(self._small)))
            frame = self.frames[t]
            if self.factor < 1:
                frame = cv2.resize(frame, self._size, interpolation=cv2.INTER_AREA)
            self._small[t] = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        return self._small[t]

    def between(self, source: int, target: int) -> NDArray[np.float64]:
        """(2, 3) similarity that carries pixel positions of frame `source` to frame `target`.

        The identity when too little can be tracked: a flat wall looks the same wherever it is.
        """
        if source == target:
            return IDENTITY.copy()
        mask = cv2.resize(self.mask(source).astype(np.uint8), self._size, interpolation=cv2.INTER_NEAREST)
        mask = cv2.erode(mask, np.ones((5, 5), np.uint8))
        before, after = self._gray(source), self._gray(target)
        corners = cv2.goodFeaturesToTrack(before, 120, 0.01, 5, mask=mask)
        if corners is None or len(corners) < 8:
            return IDENTITY.copy()
        moved, ok = _track(before, after, corners)
        back, ok_back = _track(after, before, moved)
        good = (ok[:, 0] == 1) & (ok_back[:, 0] == 1) & (np.abs(back - corners).max((1, 2)) < 0.7)
        if good.sum() < 8:
            return IDENTITY.copy()
        cv2.setRNGSeed(0)
        found, inliers = cv2.estimateAffinePartial2D(
            corners[good], moved[good], method=cv2.RANSAC, ransacReprojThreshold=1.0
        )
        if found is None or inliers.sum() < 8 or abs(np.hypot(*found[:, 0]) - 1) > 0.2:
            return IDENTITY.copy()
        found[:, 2] /= self.factor
        return found


def _track(before: NDArray[np.uint8], after: NDArray[np.uint8], points: Any) -> tuple[Any, Any]:
    """Lucas-Kanade: (N, 1, 2) points of one image found in another, (N, 1) 1 where that went well."""
    lost: Any = None  # OpenCV's stubs do not allow None, its documentation does
    moved, ok, _ = cv2.calcOpticalFlowPyrLK(before, after, points, lost, winSize=(15, 15), maxLevel=3)
    return moved, ok
