"""Where the face and the mouth are in every frame: one box each, from the reference's face track.

The same boxes cut the prediction, the reference and the truth, so that a method cannot choose what it is scored on and
all rows of a table are measured on the same pixels.

A box has one size for the whole clip and follows the face:

    size     median over the frames with a face, so that frames are comparable and a wide-open mouth does not widen it
    center   the middle of the points' bounding box, averaged over the found frames among t-2 .. t+2 of its shot
    place    whole pixels; at the border the box is moved inside, never shrunk (only a box larger than the frame is cut)

    face     bounding box of the 68 points (brows to chin, ear to ear), 10 % wider on each side, 30 % of its height
             added above (forehead) and 10 % below; without landmarks the detector's box as it is
    mouth    a square of 1.6 times the longer side of the bounding box of the 20 mouth points

A frame without a face has no box: it is not measured.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from lipbench.core.by_file import remembered
from lipbench.faces.track import MOUTH_68, FaceTrack
from lipbench.metrics.arrays import Frame

Scalar = TypeVar("Scalar", bound=np.generic)

#: Part of score keys: bump it when a box would lie elsewhere.
VERSION = 1

FACE_SIDE, FACE_ABOVE, FACE_BELOW = 0.10, 0.30, 0.10
MOUTH_SCALE = 1.6
SMOOTHING = 2  # frames on each side

NO_FACE = "no_face: no face was found in the reference"


class Box(NamedTuple):
    """A part of a frame, px: the pixels [y1:y2, x1:x2]."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px."""
        return self.x2 - self.x1, self.y2 - self.y1

    def cut(self, frames: NDArray[Scalar]) -> NDArray[Scalar]:
        """The pixels of a (H, W, C) frame or of (..., H, W, C) frames, a view."""
        return frames[..., self.y1 : self.y2, self.x1 : self.x2, :]


@dataclass(frozen=True)
class Boxes:
    """One region through a clip.

    Attributes:
        corners: (T, 4) int x1 y1 x2 y2, the pixels [y1:y2, x1:x2]; all of one size; zeros where not valid.
        valid: (T,) whether the frame has a box.
    """

    corners: NDArray[np.int64]
    valid: NDArray[np.bool_]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, px; (0, 0) when no frame is valid."""
        if not self.valid.any():
            return 0, 0
        x1, y1, x2, y2 = self.corners[self.valid][0]
        return int(x2 - x1), int(y2 - y1)


@dataclass(frozen=True)
class Regions:
    """The boxes of a clip, or why there are none.

    Attributes:
        boxes: "face", "mouth" -> Boxes.
        reasons: region -> why it has no boxes at all.
        n_frames: of the track; 0 without one.
        size: width and height of the track's video, px; zeros without one.
    """

    boxes: dict[str, Boxes] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    n_frames: int = 0
    size: tuple[int, int] = (0, 0)

    def box(self, frame: Frame, region: str, t: int) -> Box | None:
        """The box of "full", "face" or "mouth" in frame t, or None where there is no such region."""
        if region == "full":
            return Box(0, 0, frame.shape[1], frame.shape[0])
        boxes = self.boxes.get(region)
        if boxes is None or t >= len(boxes.valid) or not boxes.valid[t] or frame.shape[1::-1] != self.size:
            return None
        return Box(*(int(n) for n in boxes.corners[t]))

    def cut(self, frame: Frame, region: str, t: int) -> Frame | None:
        """The pixels of "full", "face" or "mouth" in frame t (a view), or None where there is no such region."""
        if region == "full":
            return frame
        box = self.box(frame, region, t)
        return None if box is None else box.cut(frame)

    def refusal(self, region: str, n_frames: int, size: tuple[int, int]) -> str | None:
        """Why no frame of a clip of `n_frames` frames of `size` (width, height) has this region; None if some may."""
        if region == "full":
            return None
        if region in self.reasons:
            return self.reasons[region]
        if size != self.size:
            return "size_mismatch: the face track is of {}x{} frames, the videos have {}x{}".format(*self.size, *size)
        if abs(self.n_frames - n_frames) > 1:
            return f"length_mismatch: the face track has {self.n_frames} frames, the videos {n_frames}"
        return None

    def facts(self, region: str) -> dict[str, object]:
        """What a record keeps about a region: its size in px."""
        return {"box": list(self.boxes[region].size)} if region in self.boxes else {}


def from_file(path: Path | None, reason: str = "") -> Regions:
    """The regions of a saved track; without one, `reason` is why there are none.

    Raises:
        MediaError: the file is no face track.
    """
    if path is None:
        why = reason or "no face track of the reference"
        return Regions(reasons={"face": why, "mouth": why})
    return _of_file(path)


@remembered(kept=8)
def _of_file(path: Path) -> Regions:
    return from_track(FaceTrack.load(path))


def from_track(track: FaceTrack) -> Regions:
    """The regions of a track, by the rule at the top of this module."""
    points = track.points68()
    reasons: dict[str, str] = {}
    if points is None:
        corners = track.boxes.astype(np.float64)
        found = {"face": _follow(_center(corners), _extent(corners), track)}
        reasons["mouth"] = f"unsupported: the face backend {track.backend!r} finds no landmarks, so no mouth"
    else:
        all68 = _bounds(points)
        extent = _extent(all68)
        middle = _center(all68) + extent * [0, (FACE_BELOW - FACE_ABOVE) / 2]
        grown = extent * [1 + 2 * FACE_SIDE, 1 + FACE_ABOVE + FACE_BELOW]
        lips = _bounds(points[:, MOUTH_68])
        side = np.repeat(_extent(lips).max(axis=1, keepdims=True), 2, axis=1) * MOUTH_SCALE
        found = {"face": _follow(middle, grown, track), "mouth": _follow(_center(lips), side, track)}
    boxes = {name: b for name, b in found.items() if b.valid.any()}
    reasons |= {name: NO_FACE for name in found if name not in boxes}
    return Regions(boxes, reasons, len(track), (track.width, track.height))


def _bounds(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(T, K, 2) -> (T, 4) bounding boxes, NaN where any point is."""
    p = points.astype(np.float64)
    return np.concatenate([p.min(axis=1), p.max(axis=1)], axis=1)


def _center(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return (corners[:, :2] + corners[:, 2:]) / 2


def _extent(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    return corners[:, 2:] - corners[:, :2]


def _follow(center: NDArray[np.float64], extent: NDArray[np.float64], track: FaceTrack) -> Boxes:
    """Boxes of the median size round the smoothed center.

    Args:
        center: (T, 2) px, NaN where lost.
        extent: (T, 2) px, NaN where lost.
    """
    frame = np.array([track.width, track.height])
    known = np.isfinite(np.concatenate([center, extent], axis=1)).all(axis=1)
    corners = np.zeros((len(center), 4), np.int64)
    # A face whose middle is outside the image is not in the image.
    valid = np.asarray(known & (center >= 0).all(axis=1) & (center < frame).all(axis=1), np.bool_)
    if not valid.any():
        return Boxes(corners, valid)
    size = np.clip(_whole(np.median(extent[known], axis=0)), 1, frame)
    shot = track.shot_of(np.arange(len(center)))
    for t in np.flatnonzero(valid):
        near = slice(max(t - SMOOTHING, 0), t + SMOOTHING + 1)
        middle = center[near][known[near] & (shot[near] == shot[t])].mean(axis=0)  # never across a cut
        corner = np.clip(_whole(middle - size / 2), 0, frame - size)
        corners[t] = *corner, *(corner + size)
    return Boxes(corners, valid)


def _whole(x: NDArray[np.float64]) -> NDArray[np.int64]:
    # Not np.rint: halves must go one way, or a box wobbles on a face that moves evenly.
    return np.floor(x + 0.5).astype(np.int64)
