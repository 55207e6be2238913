"""From face boxes per frame to tracks: the greedy tracker of syncnet_python's `run_pipeline.py`.

The first face that is left seeds a track; in every following frame the first face that overlaps the track's last box
by more than 0.5 joins. A track ends when no face joined for more than `num_failed_det` frames. Faces of tracks that
are not kept are used up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.track import Box
from lipbench.metrics.sync.constants import MIN_FACE_SIZE, MIN_TRACK, NUM_FAILED_DET, TRACK_IOU


@dataclass(frozen=True)
class Track:
    """One face through one shot.

    Attributes:
        first: number of its first frame.
        boxes: (T, 4) x1 y1 x2 y2 px on every frame from `first` on, gaps filled linearly.
        n_detections: frames on which the face was really seen.
    """

    first: int
    boxes: NDArray[np.float64]
    n_detections: int

    @property
    def end(self) -> int:
        """Number of the frame after the last one."""
        return self.first + len(self.boxes)

    @property
    def face_size(self) -> tuple[float, float]:
        """Mean width and height in px."""
        w, h = (self.boxes[:, 2:] - self.boxes[:, :2]).mean(axis=0)
        return float(w), float(h)

    @property
    def mean_box(self) -> tuple[float, float, float, float]:
        """x1 y1 x2 y2 in px, mean over its frames."""
        x1, y1, x2, y2 = (float(v) for v in self.boxes.mean(axis=0))
        return x1, y1, x2, y2


@dataclass(frozen=True)
class Tracking:
    """What the tracker found.

    Attributes:
        kept: tracks that pass both rules, in the published order (by shot, then as they were seeded).
        short: tracks with too few detections.
        small: tracks that are long enough, of a face that is too small.
    """

    kept: tuple[Track, ...]
    short: tuple[Track, ...]
    small: tuple[Track, ...]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes, 0 for boxes without area."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    inside = width * height
    areas = (a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1)
    return inside / (areas - inside)


def track_faces(
    faces: Sequence[Sequence[Box]],
    shots: Sequence[tuple[int, int]],
    *,
    min_track: int = MIN_TRACK,
    min_face_size: float = MIN_FACE_SIZE,
    num_failed_det: int = NUM_FAILED_DET,
) -> Tracking:
    """Tracks of all shots.

    Args:
        faces: per frame the boxes in the detector's order (best first).
        shots: [first, last + 1) of each shot; tracks never cross a cut.
        min_track: a track is kept with *more* detections than this (100: at least 101, 4.04 s).
        min_face_size: px; the larger of the mean width and height must exceed it.
        num_failed_det: frames without detection that a track survives.
    """
    kept: list[Track] = []
    short: list[Track] = []
    small: list[Track] = []
    for start, end in shots:
        left = [list(faces[i]) for i in range(start, min(end, len(faces)))]
        while (seen := _next_track(left, num_failed_det)) is not None:
            track = _interpolated(seen, start)
            if len(seen) <= min_track:
                short.append(track)
            elif max(track.face_size) > min_face_size:
                kept.append(track)
            else:
                small.append(track)
    return Tracking(tuple(kept), tuple(short), tuple(small))


def _next_track(left: list[list[Box]], num_failed_det: int) -> list[tuple[int, Box]] | None:
    """Take the next track's boxes out of `left`; None when no face is left."""
    seen: list[tuple[int, Box]] = []
    for i, boxes in enumerate(left):
        if seen and i - seen[-1][0] > num_failed_det:
            break
        for k, box in enumerate(boxes):
            if not seen or iou(box, seen[-1][1]) > TRACK_IOU:
                seen.append((i, boxes.pop(k)))
                break  # one face per frame
    return seen or None


def _interpolated(seen: list[tuple[int, Box]], start: int) -> Track:
    at = np.array([i for i, _ in seen])
    corners = np.array([(b.x1, b.y1, b.x2, b.y2) for _, b in seen], dtype=np.float64)
    every = np.arange(at[0], at[-1] + 1)
    boxes = np.stack([np.interp(every, at, corners[:, c]) for c in range(4)], axis=1)
    return Track(start + int(at[0]), boxes, len(seen))
