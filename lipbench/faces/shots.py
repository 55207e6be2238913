"""Where the camera cuts: scenedetect 0.5.1's ContentDetector, as the published pipeline used it.

The mean absolute difference of hue, saturation and value between neighboring frames, averaged over the three; a cut
where it reaches 30. Frames are thinned by a factor that depends on the width (versions from 0.6 on use another
threshold and another rule, and cut elsewhere).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: A cut where the mean difference of neighboring frames reaches this, 0..255; frames between two cuts at least.
SHOT_THRESHOLD, MIN_SHOT_FRAMES = 30.0, 15
_STEPS = ((3200, 12), (2100, 8), (1700, 6), (1200, 5), (900, 4), (600, 3), (400, 2))


def thinning(width: int) -> int:
    """Every how many pixels a frame of `width` px is looked at, in both directions."""
    return next((step for least, step in _STEPS if width >= least), 1)


class ShotDetector:
    """Finds cuts in frames pushed one by one."""

    def __init__(self, threshold: float = SHOT_THRESHOLD, min_frames: int = MIN_SHOT_FRAMES) -> None:
        self.threshold, self.min_frames = threshold, min_frames
        self.n_frames = 0
        self._last: NDArray[Any] | None = None
        self._cuts: list[int] = []

    def push(self, frame: NDArray[np.uint8]) -> float:
        """Take the next (H, W, 3) RGB frame; returns its difference to the last one, 0..255."""
        step = thinning(frame.shape[1])
        hsv: NDArray[Any] = cv2.cvtColor(np.ascontiguousarray(frame[::step, ::step]), cv2.COLOR_RGB2HSV)
        change = 0.0
        if self._last is not None:
            change = float(cv2.absdiff(hsv, self._last).sum(dtype=np.int64)) / hsv.size
            # The first cut may come at any frame; only later ones have to keep their distance.
            if change >= self.threshold and (not self._cuts or self.n_frames - self._cuts[-1] >= self.min_frames):
                self._cuts.append(self.n_frames)
        self._last = hsv
        self.n_frames += 1
        return change

    @property
    def cuts(self) -> tuple[int, ...]:
        """Numbers of the frames so far that begin another shot."""
        return tuple(self._cuts)

    def shots(self) -> list[tuple[int, int]]:
        """[first, last + 1) of every shot so far; together they cover all frames."""
        edges = [0, *self._cuts, self.n_frames]
        return [(a, b) for a, b in pairwise(edges) if b > a]
