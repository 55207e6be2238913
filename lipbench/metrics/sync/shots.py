"""Where the camera cuts, as the published pipeline finds it; face trackers look for cuts in the same way."""

from __future__ import annotations

from lipbench.faces import shots
from lipbench.faces.shots import thinning
from lipbench.metrics.sync.constants import MIN_SHOT_FRAMES, SHOT_THRESHOLD

__all__ = ["ShotDetector", "thinning"]


class ShotDetector(shots.ShotDetector):
    """`faces.shots.ShotDetector` with the constants that scores record."""

    def __init__(self, threshold: float = SHOT_THRESHOLD, min_frames: int = MIN_SHOT_FRAMES) -> None:
        super().__init__(threshold, min_frames)
