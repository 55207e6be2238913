"""Who speaks in a shot of a film, by the sync model where it is sure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.film.shots_faces import ShotFace
from lipbench.datasets.film.shots_speaking import moving_mouths
from lipbench.faces.files import from_landmarks
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.landmark.speaker import speaker

RATE = 16000
#: Stretches of a shot that are asked about on their own, in a dialog somebody else speaks in each. Shorter ones tell
#: too little.
STRETCH_S = 3.0


def speaking_mouths(
    faces: Sequence[ShotFace], n_rows: int, fps: float, sound: NDArray[np.int16] | None
) -> list[float | None]:
    """`Speaking` of `data shots` by mouths that move; whose it is the sync model says, in stretches where it knows."""
    if sound is None or not len(sound):
        return [None] * len(faces)
    sure = np.full(n_rows, -1)
    n = max(1, int(n_rows / (STRETCH_S * fps)))
    edges = np.linspace(0, n_rows, n + 1).round().astype(int)
    for first, end in pairwise(edges):
        heard = sound[round(first * RATE / fps) : round(end * RATE / fps)]
        found = speaker([_track(face, first, end, fps) for face in faces], heard)
        sure[first:end] = -1 if found is None else found
    return moving_mouths(faces, n_rows, fps, sound, sure)


def _track(face: ShotFace, first: int, end: int, fps: float) -> FaceTrack:
    """A face through a stretch; NaN where it is not seen."""
    points = np.full((end - first, *face.points.shape[1:]), np.nan, np.float32)
    inside = (face.rows >= first) & (face.rows < end)
    points[face.rows[inside] - first] = face.points[inside]
    return from_landmarks(points, fps=fps, size=(0, 0), backend="shot")
