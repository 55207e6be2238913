"""Boxes around mouths and eyes that follow the head, and frames cut out of videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NothingComparable
from lipbench.faces.track import MOUTH_68, FaceTrack

#: What is cut out -> landmarks (68-point order), width in units of their median width, height over width.
PARTS = {"mouth": (MOUTH_68, 1.8, 0.75), "eyes": (slice(36, 48), 1.4, 0.4)}


def boxes(track: FaceTrack, part: str) -> NDArray[np.int64]:
    """(T, 4) x1 y1 x2 y2 px, all of one size, centered on the part; the last known place where the face is lost.

    Raises:
        NothingComparable: the tracker gives no landmarks, or saw no face.
    """
    points = track.points68()
    if points is None or not track.found.any():
        why = "no face was found" if points is not None else f"the face tracker {track.backend} has no landmarks"
        raise NothingComparable(f"there is no place of the {part}", why, "show whole frames instead")
    which, times, shape = PARTS[part]
    own = points[:, which].astype(np.float64)
    low, high = own.min(axis=1), own.max(axis=1)  # (T, 2)
    width = times * float(np.nanmedian(high[:, 0] - low[:, 0]))
    center = _filled((low + high) / 2)
    half = np.array([width, width * shape]) / 2
    corner = np.round(center - half).astype(np.int64)
    size = np.maximum(2, np.round(2 * half)).astype(np.int64)
    return np.hstack([corner, corner + size])


def _filled(center: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 2) with lost frames at the last known place, the first ones at the first."""
    known = np.flatnonzero(np.isfinite(center[:, 0]))
    at = np.searchsorted(known, np.arange(len(center)), side="right") - 1
    return np.asarray(center[known[np.maximum(at, 0)]])


def cut(frame: NDArray[np.uint8], box: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(H, W, 3) -> the box; what lies outside repeats the edge."""
    x1, y1, x2, y2 = (int(v) for v in box)
    rows = np.clip(np.arange(y1, y2), 0, frame.shape[0] - 1)
    columns = np.clip(np.arange(x1, x2), 0, frame.shape[1] - 1)
    return frame[rows[:, None], columns[None]]


def pick(video: Path, frames: Sequence[int]) -> list[NDArray[np.uint8] | None]:
    """These frames of a video, None beyond its end."""
    found: dict[int, NDArray[np.uint8]] = {}
    last = max(frames)
    for i, frame in enumerate(media.read_frames(video)):
        if i in frames:
            found[i] = frame
        if i >= last:
            break
    return [found.get(i) for i in frames]
