"""Which of several faces says what is heard: what a choice by motion and loudness alone often gets wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import LipbenchError
from lipbench.faces.track import FaceTrack

#: The best face's highest mean similarity must reach CLEAR and be MARGIN above every other face's. Chosen on pairs of
#: ten people of GRID, looked at on others: docs/landmark-sync.md has the numbers.
CLEAR, MARGIN = 0.4, 0.03


def speaker(tracks: Sequence[FaceTrack], audio: NDArray[np.int16]) -> int | None:
    """The number of the face that says what is heard; None where the sync model is not sure.

    Any constant delay is forgiven: found footage is rarely in sync. With one face it is that, or None.

    Args:
        tracks: of the same frames, with landmarks; a face that cannot be measured is not chosen.
        audio: (N,) int16 at 16 kHz, from the first frame on.
    """
    found = [similarity(track, audio) for track in tracks]
    known = sorted((value for value in found if value is not None), reverse=True)
    if not known or known[0] < CLEAR or (len(known) > 1 and known[0] - known[1] < MARGIN):
        return None
    return found.index(known[0])


def similarity(track: FaceTrack, audio: NDArray[np.int16]) -> float | None:
    """The highest mean similarity of a face and its sound over all shifts, -1 to 1; None where it cannot be measured.

    Args:
        track: with landmarks.
        audio: (N,) int16 at 16 kHz.
    """
    from lipbench.metrics.sync.landmark.score import score_track

    try:
        return float(np.nanmax(score_track(track, audio).curve))
    except LipbenchError:  # too short, or the face is lost too often
        return None
