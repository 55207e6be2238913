"""Boxes and landmarks drawn on frames, for looking at what was found."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.track import FaceTrack

Color = tuple[int, int, int]
#: iBUG-68 groups: name -> (first, last + 1, closed)
GROUPS = {
    "jaw": (0, 17, False),
    "right brow": (17, 22, False),
    "left brow": (22, 27, False),
    "nose": (27, 31, False),
    "nostrils": (31, 36, False),
    "right eye": (36, 42, True),
    "left eye": (42, 48, True),
    "outer lips": (48, 60, True),
    "inner lips": (60, 68, True),
}
COLORS: dict[str, Color] = {
    "jaw": (255, 220, 60),
    "right brow": (90, 255, 90),
    "left brow": (90, 255, 90),
    "nose": (255, 140, 40),
    "nostrils": (255, 140, 40),
    "right eye": (80, 200, 255),
    "left eye": (80, 200, 255),
    "outer lips": (255, 70, 70),
    "inner lips": (255, 120, 220),
}
_SHIFT = 4  # cv2 draws at 1/16 px


def _at(points: NDArray[np.floating]) -> NDArray[np.int32]:
    # Landmarks count edges, cv2 pixel centres.
    return np.round((np.asarray(points)[..., :2] - 0.5) * 2**_SHIFT).astype(np.int32)


def draw_points(
    frame: NDArray[np.uint8],
    points: NDArray[np.floating],
    *,
    color: Color = (80, 255, 80),
    radius: float = 1.0,
    numbers: bool = False,
) -> NDArray[np.uint8]:
    """A copy of the RGB frame with dots at (K, >=2) px points, numbered on request; NaN points are left out."""
    out = frame.copy()
    for k, (x, y) in enumerate(_at(np.nan_to_num(points, nan=-1e6))):
        if x < -(10**6):
            continue
        cv2.circle(out, (int(x), int(y)), round(radius * 2**_SHIFT), color, -1, cv2.LINE_AA, _SHIFT)
        if numbers:
            place = (int(x >> _SHIFT) + 2, int(y >> _SHIFT) - 2)
            cv2.putText(out, str(k), place, cv2.FONT_HERSHEY_SIMPLEX, 0.3, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def draw_68(frame: NDArray[np.uint8], points: NDArray[np.floating], *, numbers: bool = False) -> NDArray[np.uint8]:
    """A copy of the RGB frame with the (68, >=2) iBUG points as coloured lines, jaw to inner lips."""
    out = frame.copy()
    if not np.isfinite(points).all():
        return out
    for name, (first, end, closed) in GROUPS.items():
        cv2.polylines(out, [_at(points[first:end])], closed, COLORS[name], 1, cv2.LINE_AA, _SHIFT)
    return draw_points(out, points, color=(255, 255, 255), radius=1.2, numbers=True) if numbers else out


def draw_track(frame: NDArray[np.uint8], track: FaceTrack, t: int) -> NDArray[np.uint8]:
    """A copy of frame t with the track's box, mesh dots, 68-point lines and its numbers in words."""
    out = frame.copy()
    if track.found[t]:
        (x1, y1), (x2, y2) = _at(track.boxes[t].reshape(2, 2)).tolist()
        cv2.rectangle(out, (x1, y1), (x2, y2), (255, 255, 0), 1, cv2.LINE_AA, _SHIFT)
        points = track.points68()
        if track.landmarks is not None and points is not None:
            if track.landmarks.shape[1] > 68:
                out = draw_points(out, track.landmarks[t], radius=0.7)
            out = draw_68(out, points[t])
    words = f"{t}: score {track.score[t]:.2f}, faces {track.n_faces[t]}" if track.found[t] else f"{t}: lost"
    (width, height), below = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    cv2.rectangle(out, (0, 0), (width + 8, height + below + 6), (0, 0, 0), -1)
    cv2.putText(out, words, (4, height + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return out


def contact_sheet(frames: Sequence[NDArray[np.uint8]], columns: int = 3) -> NDArray[np.uint8]:
    """Frames of one size side by side, row after row, black where the last row is not full."""
    height, width = frames[0].shape[:2]
    rows = -(-len(frames) // columns)
    out = np.zeros((rows * height, columns * width, 3), np.uint8)
    for k, frame in enumerate(frames):
        y, x = k // columns * height, k % columns * width
        out[y : y + height, x : x + width] = frame
    return out
