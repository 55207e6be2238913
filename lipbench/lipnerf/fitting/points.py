"""Which vertices of a morphable model the points of a face track are, and how far each may be believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.faces.morphable import MorphableModel
from lipbench.faces.track import MESH_TO_68, FaceTrack
from lipbench.lipnerf.fitting.mesh_table import table_for

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Parts of the 68 points and their weight. Lips and lids carry what a dub and a blink change; the jaw line slides over
#: the face as it turns, and trackers space its points unevenly.
PARTS_68: tuple[tuple[slice, float], ...] = (
    (slice(0, 17), 0.15),
    (slice(17, 27), 0.6),
    (slice(27, 36), 1.0),
    (slice(36, 48), 2.5),
    (slice(48, 60), 1.5),
    (slice(60, 68), 2.5),
)
_JAW_ROWS = np.r_[np.arange(8), np.arange(8, 16)]
_JAW_POINTS = np.r_[np.arange(8), np.arange(9, 17)]


@dataclass(frozen=True)
class Points:
    """Correspondence of L points. U vertices take part.

    Attributes:
        track: (L,) point numbers of the face track.
        vertices: (U,) vertex numbers of the model.
        at: (L,) positions in `vertices`; for points on the jaw line, of the contour at rest.
        weight: (L,) relative precision (1 / variance).
        sliding: (J,) points (rows of `track`) that follow the visible contour.
        candidates: (J, K) positions in `vertices` to choose from.
        side: (J,) -1 where the contour is the candidate farthest to the image's left, +1 to its right.
    """

    track: Index
    vertices: Index
    at: Index
    weight: Array
    sliding: Index
    candidates: Index
    side: Array

    def __len__(self) -> int:
        return len(self.track)


def correspondence(model: MorphableModel, n_track: int) -> Points:
    """Points for tracks with `n_track` points per frame: 68 (iBUG), or 468 or 478 (FaceMesh).

    Mesh tracks use 68 points of the mesh, and for models whose topology is known, further points of lips, lids, brows,
    nose and cheeks.

    Raises:
        Unsupported: the model has no landmark vertices, or the track has another number of points.
    """
    if n_track not in (68, 468, 478):
        raise Unsupported(
            f"cannot fit a face track with {n_track} points per frame",
            "it must have 68 (iBUG), or 468 or 478 (FaceMesh)",
            'track the clip with the backend "mediapipe-face", or give landmarks of your own',
        )
    marks = model.require_landmarks()
    weight = np.zeros(68)
    for part, w in PARTS_68:
        weight[part] = w
    track = np.arange(68) if n_track == 68 else np.asarray(MESH_TO_68)
    vertex = marks.points.copy()
    extra = table_for(model) if n_track != 68 else None
    if extra is not None:
        # The table's points replace all but the jaw line, which slides.
        track = np.r_[track[:17], extra.track]
        vertex = np.r_[vertex[:17], extra.vertex]
        weight = np.r_[weight[:17], extra.weight]
    rows = np.zeros((0, 1), np.int64)
    sliding = np.zeros(0, np.int64)
    if marks.left is not None and marks.right is not None:
        rows, sliding = np.concatenate([marks.left, marks.right]), _JAW_POINTS
    vertices = np.unique(np.r_[vertex, rows.ravel()])
    return Points(
        track=track.astype(np.int64),
        vertices=vertices,
        at=np.searchsorted(vertices, vertex),
        weight=weight,
        sliding=sliding,
        candidates=np.searchsorted(vertices, rows),
        side=np.r_[-np.ones(8), np.ones(8)][: len(sliding)],
    )


def points_of(model: MorphableModel, track: FaceTrack) -> Points:
    """`correspondence` for a track.

    Raises:
        Unsupported: the track has boxes only, or see `correspondence`.
    """
    return correspondence(model, _landmarks(track).shape[1])


def _landmarks(track: FaceTrack) -> NDArray[np.float32]:
    if track.landmarks is None:
        raise Unsupported(
            f"cannot fit a face track of the backend {track.backend}",
            "it holds boxes without landmarks",
            'track the clip with the backend "mediapipe-face", or give landmarks of your own',
        )
    return track.landmarks


def observed(track: FaceTrack, points: Points) -> tuple[Array, NDArray[np.bool_]]:
    """(T, L, 2) px of the points (0 where lost) and (T,) whether the frame has all of them.

    Raises:
        Unsupported: the track has boxes only.
    """
    seen = np.asarray(_landmarks(track)[:, points.track, :2], np.float64)
    found = np.isfinite(seen).all((1, 2)) & track.found
    return np.where(found[:, None, None], seen, 0.0), found


def face_size(track: FaceTrack) -> Array:
    """(T,) px, a length that head turns change little: the larger of the eyes' distance and 0.62 of the way from
    between the eyes to the chin. NaN where lost. Residuals are measured in it, so that no weight depends on the size
    of the picture."""
    p = track.points68()
    if p is None:
        return np.full(len(track), np.nan)
    outer = p[:, [36, 45]].astype(np.float64)
    across = np.linalg.norm(outer[:, 0] - outer[:, 1], axis=1)
    down = np.linalg.norm(outer.mean(1) - p[:, 8], axis=1)
    return np.asarray(np.maximum(across, 0.62 * down), np.float64)
