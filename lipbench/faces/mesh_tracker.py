"""One face through a video, frame to frame: the square of the last landmarks is where the next ones are looked for.

As MediaPipe's FaceMesh does it, with four additions: the face is followed, not merely found (continuity first, then
size); the first frame after an acquisition is measured twice, so that its landmarks come from the same kind of crop as
all others; the detector also runs every few frames, to know about other people in the image; and a new shot begins
anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.boxes import overlaps
from lipbench.faces.detect import Detector
from lipbench.faces.landmarks import Roi, roi_from_box, roi_from_points
from lipbench.faces.track import COUNT_EVERY, Box
from lipbench.faces.which import Which, choose

FACE_SCORE = 0.5  # below this the mesh has no face in its square
INSIDE = 0.5  # share of the points that must lie in the image
SAME_FACE = 0.3  # boxes that overlap more are one face


class Mesh(Protocol):
    """What `FaceMesh` does: landmarks (N, K, 3) px and scores (N,) for N frames and squares."""

    n_points: int

    def __call__(
        self, frames: Sequence[NDArray[np.uint8]], rois: Sequence[Roi]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...


@dataclass(frozen=True)
class MainFace:
    """The main face of one frame: landmarks (K, 3), box (4,), score; faces counts everybody."""

    points: NDArray[np.float32]
    box: NDArray[np.float32]
    score: float
    faces: int


class MeshTracker:
    """Follows the main face. Call `step` with one frame after the other.

    Args:
        detector: finds faces (BlazeFacePair).
        mesh: finds landmarks in a square (FaceMesh).
        count_every: the detector runs on every n-th frame to count faces, and whenever the face is lost.
        which: which face is meant where there are several; the largest when None.

    Attributes:
        counted: frame number -> all boxes that the detector saw there, for every frame that was counted.
    """

    def __init__(
        self, detector: Detector, mesh: Mesh, count_every: int = COUNT_EVERY, which: Which | None = None
    ) -> None:
        self.detector, self.mesh, self.count_every, self.which = detector, mesh, count_every, which
        self.counted: dict[int, list[Box]] = {}
        self.frame = 0
        self.roi: Roi | None = None  # where the next face is expected
        self.last: NDArray[np.float32] | None = None  # box of the last face seen, however long ago
        self.others = 0  # faces besides the main one, as of the last count

    def cut(self) -> None:
        """The next frame begins another shot: nobody in it is followed from before."""
        self.roi, self.last, self.others = None, None, 0

    def step(self, frame: NDArray[np.uint8]) -> MainFace | None:
        """The main face of the next frame, (H, W, 3) uint8 RGB; None when there is none."""
        count = self.frame % self.count_every == 0
        self.frame += 1
        seen = self._measure(frame, self.roi) if self.roi is not None else None
        found = self.detector.detect(frame[None])[0] if count or seen is None else None
        if found is not None:
            self.counted[self.frame - 1] = list(found)
        if seen is None:
            seen = self._acquire(frame, found or [])
        if seen is None:
            self.roi = None
            return None
        points, score = seen
        box = np.concatenate([points[:, :2].min(0), points[:, :2].max(0)])
        if found is not None:
            corners = np.asarray([(f.x1, f.y1, f.x2, f.y2) for f in found]).reshape(-1, 4)
            self.others = int((overlaps(box, corners) <= SAME_FACE).sum())
        self.roi, self.last = roi_from_points(points), box
        return MainFace(points, box, score, 1 + self.others)

    def _acquire(self, frame: NDArray[np.uint8], found: Sequence[Box]) -> tuple[NDArray[np.float32], float] | None:
        for face in choose(found, self.last, self.which, (frame.shape[1], frame.shape[0])):
            first = self._measure(frame, roi_from_box(face))
            # The detector's square is roughly placed; look again with the landmarks' own.
            if first is not None and (second := self._measure(frame, roi_from_points(first[0]))) is not None:
                return second
        return None

    def _measure(self, frame: NDArray[np.uint8], roi: Roi) -> tuple[NDArray[np.float32], float] | None:
        """Landmarks and score in one square, None when no face is there or most of it is outside of the image."""
        points, scores = self.mesh([frame], [roi])
        height, width = frame.shape[:2]
        inside = ((points[0, :, :2] >= 0) & (points[0, :, :2] <= (width, height))).all(1).mean()
        if scores[0] < FACE_SCORE or inside < INSIDE:
            return None
        return points[0], float(scores[0])
