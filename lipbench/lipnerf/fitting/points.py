"""Which vertices of a morphable model the points of a face track are, and how far each may be believed.

The table of FaceMesh points is measured: MediaPipe's attention mesh on 506 rendered frames of 40 people (normal,
over-articulated and turned heads, blinks included), then for every mesh point the vertex whose projection lies
nearest on average. Around that place the points scatter by 0.7 to 2 % of the eye distance within a clip. Lips and lids
are named by loop and column of their edge loops, other points by where they lie on the average head, so that another
triangulation finds them again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lipbench.core.errors import Unsupported
from lipbench.faces.morphable import MorphableModel
from lipbench.faces.morphable.procedural import head_parts
from lipbench.faces.track import MESH_TO_68, FaceTrack

#: Mesh points round the lips and the columns of the head's lip loops behind them, from the image's left corner.
OUTER_LIPS = (
    (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146),
    (32, 27, 25, 22, 19, 16, 13, 10, 8, 5, 0, 59, 56, 54, 51, 48, 45, 42, 39, 37),
)
INNER_LIPS = (
    (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95),
    (36, 25, 23, 21, 18, 16, 14, 11, 9, 7, 60, 56, 55, 53, 50, 48, 46, 43, 41, 39),
)
#: The same for the lids: mesh points, loop, column.
LEFT_LID = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7),
    (1, 0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 0),
    (17, 18, 14, 13, 10, 8, 5, 3, 0, 37, 35, 33, 30, 28, 26, 23),
)
RIGHT_LID = (
    (263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249),
    (0, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1),
    (1, 5, 6, 8, 10, 12, 15, 17, 20, 23, 25, 27, 29, 32, 33, 35),
)
#: Pairs of points, image left and right, and the place of the right one on the average head, dm.
BROWS = (
    (70, 300, 0.561, 0.284, 0.500),
    (63, 293, 0.503, 0.351, 0.576),
    (105, 334, 0.398, 0.349, 0.676),
    (66, 296, 0.273, 0.348, 0.744),
    (107, 336, 0.140, 0.349, 0.768),
    (46, 276, 0.519, 0.254, 0.547),
    (53, 283, 0.461, 0.300, 0.619),
    (52, 282, 0.378, 0.316, 0.691),
    (65, 295, 0.269, 0.303, 0.741),
    (55, 285, 0.129, 0.267, 0.751),
)
NOSE = (
    (98, 327, 0.165, -0.278, 0.764),
    (97, 326, 0.072, -0.294, 0.787),
    (48, 278, 0.176, -0.218, 0.780),
    (64, 294, 0.185, -0.248, 0.753),
    (129, 358, 0.205, -0.218, 0.756),
    (193, 417, 0.082, 0.155, 0.744),
    (189, 413, 0.118, 0.162, 0.697),
    (245, 465, 0.093, 0.086, 0.745),
)
CHEEKS = (
    (108, 337, 0.137, 0.478, 0.754),
    (69, 299, 0.316, 0.476, 0.704),
    (117, 346, 0.504, -0.033, 0.566),
    (101, 330, 0.330, -0.096, 0.727),
    (205, 425, 0.394, -0.252, 0.657),
    (36, 266, 0.282, -0.187, 0.747),
    (50, 280, 0.462, -0.188, 0.603),
    (187, 411, 0.509, -0.314, 0.468),
    (167, 393, 0.086, -0.347, 0.788),
    (194, 418, 0.174, -0.712, 0.681),
)
#: Points of the middle: height and depth.
MIDDLE = (
    (168, 0.174, 0.792),
    (6, 0.087, 0.821),
    (197, 0.021, 0.848),
    (195, -0.044, 0.884),
    (5, -0.104, 0.922),
    (4, -0.176, 0.997),
    (1, -0.233, 0.985),
    (2, -0.293, 0.818),
    (9, 0.310, 0.774),
    (151, 0.477, 0.758),
    (164, -0.339, 0.785),
    (18, -0.689, 0.713),
    (200, -0.739, 0.733),
    (199, -0.797, 0.759),
)
#: Relative precision of one point: neighbors err together, so many points of a part count less each.
WEIGHTS = {"outer": 0.9, "inner": 1.0, "lids": 1.2, "brows": 0.3, "nose": 0.5, "cheeks": 0.3, "middle": 0.5}


@dataclass(frozen=True)
class MeshTable:
    """FaceMesh points and the vertices behind them.

    Attributes:
        track: (L,) FaceMesh points.
        vertex: (L,) model vertices.
        weight: (L,) relative precision.
    """

    track: NDArray[np.int64]
    vertex: NDArray[np.int64]
    weight: NDArray[np.float64]


def table_for(model: MorphableModel) -> MeshTable | None:
    """The dense correspondence of a model, None when there is none: only the procedural head has one."""
    if model.name != "procedural":
        return None
    groups = head_parts().groups
    track: list[int] = []
    vertex: list[int] = []
    weight: list[float] = []

    def add(points: NDArray[np.int64] | tuple[int, ...], at: NDArray[np.int64], part: str) -> None:
        track.extend(int(k) for k in points)
        vertex.extend(int(k) for k in at)
        weight.extend([WEIGHTS[part]] * len(at))

    lips = groups["lips"]
    add(OUTER_LIPS[0], lips[head_parts().vermilion - 2, list(OUTER_LIPS[1])], "outer")
    add(INNER_LIPS[0], lips[0, list(INNER_LIPS[1])], "inner")
    for (points, loop, column), name in ((LEFT_LID, "lid_l"), (RIGHT_LID, "lid_r")):
        add(points, groups[name][list(loop), list(column)], "lids")
    skin = groups["skin"]
    tree = cKDTree(model.mean[skin])
    for rows, part in ((BROWS, "brows"), (NOSE, "nose"), (CHEEKS, "cheeks")):
        pairs = np.array(rows)
        for side, sign in ((0, -1.0), (1, 1.0)):
            at = skin[tree.query(pairs[:, 2:] * [sign, 1.0, 1.0])[1]]
            add(pairs[:, side].astype(np.int64), at, part)
    middle = np.array(MIDDLE)
    at = skin[tree.query(np.column_stack([np.zeros(len(middle)), middle[:, 1:]]))[1]]
    add(middle[:, 0].astype(np.int64), at, "middle")
    return MeshTable(np.array(track), np.array(vertex), np.array(weight))


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
    of the image."""
    p = track.points68()
    if p is None:
        return np.full(len(track), np.nan)
    outer = p[:, [36, 45]].astype(np.float64)
    across = np.linalg.norm(outer[:, 0] - outer[:, 1], axis=1)
    down = np.linalg.norm(outer.mean(1) - p[:, 8], axis=1)
    return np.asarray(np.maximum(across, 0.62 * down), np.float64)
