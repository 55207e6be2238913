"""Which frame of a clip is animated, and where its face would be at rest."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.makeittalk.landmarks import Points, eye_opening, mouth_gap, shut
from lipbench.core.errors import Unsupported
from lipbench.faces.track import FaceTrack

#: Of the 68 points: what speech does not move (ears, nose, corners of the eyes).
_RIGID = [0, 1, 15, 16, *range(27, 36), 36, 39, 42, 45]


def choose(video: Path, track: FaceTrack, which: str) -> tuple[NDArray[np.uint8], Points, Points, dict[str, Any]]:
    """The frame to animate, its (68, 2) points, the points of the same face at rest, and facts about the choice.

    Args:
        which: "first" takes the first frame with a face, at rest as it is; "open" one whose mouth is open, so that a
            warp has the inside of a mouth to show.

    Raises:
        Unsupported: the face backend has no landmarks.
    """
    every = track.points68()
    if every is None:
        raise Unsupported(
            "MakeItTalk cannot be made",
            f"the face backend {track.backend} finds boxes, no landmarks",
            "choose a face backend with landmarks",
        )
    seen = np.flatnonzero(track.found)
    points = every[seen].astype(np.float64)
    gap = mouth_gap(points)
    if which == "first":
        at, rest, shut = 0, points[0], 0
    else:
        eyes = eye_opening(points)
        awake = np.flatnonzero(eyes >= 0.85 * np.median(eyes))
        at = int(awake[np.abs(gap[awake] - np.quantile(gap[awake], 0.9)).argmin()])
        rest, shut = _at_rest(points, gap, at)
    number = int(seen[at])
    photo = next(islice(media.read_frames(video), number, None))
    return photo, points[at], rest, {"image_frame": number, "rest_from_frames": shut}


def _at_rest(points: Points, gap: NDArray[np.float64], at: int) -> tuple[Points, int]:
    """Frame `at` with jaw and mouth of the most similar frames with (nearly) closed lips, and how many those are.

    A mouth that is open in the image cannot tell where it closes; other frames of the clip can.
    """
    closed = np.flatnonzero(gap <= np.quantile(gap, 0.2))
    fitted, residual = [], []
    for k in closed:
        onto = _similarity(points[k][_RIGID], points[at][_RIGID], points[k])
        fitted.append(onto)
        residual.append(float(np.abs(onto[_RIGID] - points[at][_RIGID]).mean()))
    best = np.argsort(residual, kind="stable")[:5]
    mean = np.mean([fitted[k] for k in best], axis=0)
    rest = points[at].copy()
    rest[2:15], rest[48:] = mean[2:15], mean[48:]
    return shut(rest), len(best)


def _similarity(source: Points, target: Points, points: Points) -> Points:
    """`points` under the similarity that takes `source` to `target` in the least-squares sense."""
    a, b = source - source.mean(0), target - target.mean(0)
    z, w = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    turn = (np.conj(z) * w).sum() / max(float((np.abs(z) ** 2).sum()), 1e-9)
    moved = (points - source.mean(0)) @ np.array([[turn.real, turn.imag], [-turn.imag, turn.real]])
    out: Points = moved + target.mean(0)
    return out
