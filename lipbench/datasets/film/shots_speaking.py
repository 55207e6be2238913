"""Who speaks in a shot: whose mouth moves while something is heard, and moves as that gets louder and softer.

The rule here needs landmarks and sound alone. A sync model may say more: `Speaking` is all that is asked, and
`moving_mouths` takes what it is sure of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, uniform_filter1d

from lipbench.datasets.film.shots_faces import ShotFace
from lipbench.faces.speaking import envelope, together

#: Below the loudest tenth of the shot by this, or below the level, nobody speaks; dB, dB above one step of 16 bits.
QUIET_DB, SILENT_DB = 25.0, 30.0
#: A mouth moves when the deviation of its opening over WINDOW_S reaches this share of the face's height.
MOVES, WINDOW_S = 0.008, 0.6
#: Shots of this many seconds tell by correlation whether a moving mouth belongs to what is heard, from HEARD on.
LONG_S, HEARD = 4.0, 0.1
#: 68 points: inner lips above and below, bridge of the nose and lower lip.
LIPS, JAW = (62, 66), (27, 57)


class Speaking(Protocol):
    """Tells who speaks."""

    def __call__(
        self, faces: Sequence[ShotFace], n_rows: int, fps: float, sound: NDArray[np.int16] | None
    ) -> list[float | None]:
        """Which share of the shot each face speaks, 0..1; None where that cannot be told.

        Args:
            faces: of one shot.
            n_rows: frames of the shot that were looked at.
            fps: how many of these there are in a second.
            sound: (N,) at 16 kHz of the whole shot on the original track, None without one.
        """
        ...


def moving_mouths(
    faces: Sequence[ShotFace],
    n_rows: int,
    fps: float,
    sound: NDArray[np.int16] | None,
    sure: NDArray[np.int64] | None = None,
) -> list[float | None]:
    """`Speaking` by mouths that move while something is heard; of several at once the one that moves most.

    Args:
        sure: (n_rows,) the number of the face that is known to speak in a frame, if anybody does; -1 where it is not.
    """
    if sound is None or not len(sound):
        return [None] * len(faces)
    loudness = envelope(sound, fps, n_rows)
    heard = loudness > max(float(np.percentile(loudness, 90)) - QUIET_DB, SILENT_DB)
    activity = np.stack([_activity(face, n_rows, fps) for face in faces]) if faces else np.zeros((0, n_rows))
    most = activity.argmax(0) if len(faces) else np.zeros(n_rows, int)
    known = np.full(n_rows, -1) if sure is None else sure
    most = np.where(known >= 0, known, most)
    shares: list[float | None] = []
    for k, face in enumerate(faces):
        speaks = heard & (activity[k] > MOVES) & (most == k)
        doubtful = n_rows >= LONG_S * fps and speaks.any() and not (known == k).any()
        if doubtful and together(_motion(face, n_rows), loudness) < HEARD:
            shares.append(0.0)
        else:
            shares.append(float(speaks.mean()))
    return shares


def _spread(face: ShotFace, values: NDArray[np.float64], n_rows: int) -> NDArray[np.float64]:
    """Values of the frames that show the face -> one for each frame; where it is lost, straight between neighbors."""
    return np.interp(np.arange(n_rows), face.rows, values)


def _opening(face: ShotFace, n_rows: int) -> NDArray[np.float64]:
    """(n_rows,) how far lips and jaw are open, in heights of the face."""
    points = face.points.astype(np.float64)
    gap = sum(np.linalg.norm(points[:, a] - points[:, b], axis=1) for a, b in (LIPS, JAW))
    return _spread(face, gap / face.height, n_rows)


def _activity(face: ShotFace, n_rows: int, fps: float) -> NDArray[np.float64]:
    """(n_rows,) deviation of the opening over a window; 0 where the face is not seen."""
    opening = _opening(face, n_rows)
    size = max(3, round(WINDOW_S * fps))
    mean = uniform_filter1d(opening, size)
    spread = np.sqrt(np.maximum(uniform_filter1d(opening**2, size) - mean**2, 0))
    seen = np.zeros(n_rows, bool)
    seen[face.rows] = True
    return np.where(seen, spread, 0.0)


def _motion(face: ShotFace, n_rows: int) -> NDArray[np.float64]:
    return np.asarray(gaussian_filter1d(np.abs(np.gradient(_opening(face, n_rows))), 1.0))
