"""Shots, tracks and crops: how syncnet_python's `run_pipeline.py` cuts one face out of a video.

Shots: scenedetect 0.5.1's ContentDetector, `faces.shots`.

Tracks: the first face that is left seeds a track; in every following frame the first face that overlaps the track's
last box by more than 0.5 joins. A track ends when no face joined for more than `num_failed_det` frames. Faces of tracks
that are not kept are used up.

Crops: with s half of the larger box edge (smoothed) the crop is the square of 2.8 s whose center lies 0.4 s below the
box's center; what lies outside of the image is gray 110.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.signal
from numpy.typing import NDArray

from lipbench.core.errors import NoFace
from lipbench.faces.track import Box
from lipbench.metrics.sync.protocol import (
    CROP_PADDING,
    CROP_SCALE,
    MEDIAN_FRAMES,
    MIN_FACE_SIZE,
    MIN_TRACK,
    NUM_FAILED_DET,
    TRACK_IOU,
)


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


@dataclass(frozen=True)
class CropPath:
    """Smoothed squares of a track.

    Attributes:
        x: (T,) center px.
        y: (T,) center px.
        s: (T,) half edge px.
    """

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
        NoFace: the square lies outside of the image or has no pixel.
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
            f"the image is {w} x {h} px",
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
