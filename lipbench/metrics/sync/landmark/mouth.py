"""What a mouth does, without where the head is: twelve measures of 68 landmarks, at 25 per second.

Every frame is turned and scaled so that eye corners and nose, which speech does not move, lie on one fixed face. What
is left of the lips' and the chin's place is articulation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import NoFace
from lipbench.faces.track import MESH_TO_68, FaceTrack

FPS = 25
#: Outer and inner eye corners and the nose, of the 68 points.
STABLE = (36, 39, 42, 45, 27, 28, 29, 30, 31, 33, 35)
#: The same points of a mean symmetric face: x right, y down, z away, outer eye corners 1 apart, mean 0. Those of the
#: procedural head.
REFERENCE = np.array(
    [
        [-0.5, -0.2012, 0.2227],
        [-0.1982, -0.1729, 0.2227],
        [0.1982, -0.1729, 0.2227],
        [0.5, -0.2012, 0.2227],
        [0.0, -0.2499, -0.0666],
        [0.0, -0.0731, -0.1312],
        [0.0, 0.0703, -0.2165],
        [0.0, 0.1534, -0.303],
        [-0.1655, 0.2706, -0.0506],
        [0.0, 0.3063, -0.072],
        [0.1655, 0.2706, -0.0506],
    ]
)
MEASURES = (
    "inner_gap",
    "outer_height",
    "outer_width",
    "inner_width",
    "upper_lip",
    "lower_lip",
    "chin",
    "corners",
    "upper_thickness",
    "lower_thickness",
    "side_gaps",
    "protrusion",
)
#: A track that lost its face in more than this share of the frames is not measured.
MOST_LOST = 0.2


def align(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Landmarks as the fixed face sees them.

    Args:
        points: (T, 68, 3) px, x right, y down, z away from the camera, finite. Trackers that know no depth leave z at
            0: such a face is turned in the image plane alone.

    Returns:
        (T, 68, 3), the outer eye corners about 1 apart. Per frame the rotation and scale that bring the stable points
        nearest to `REFERENCE`.

    Source:
        Kabsch (1976) for the rotation.
    """
    p = np.asarray(points, np.float64)
    reference = REFERENCE if p[..., 2].any() else REFERENCE * [1, 1, 0]
    stable = p[:, STABLE]
    center = stable.mean(1, keepdims=True)
    spread = stable - center
    u, _, vt = np.linalg.svd(np.einsum("tki,kj->tij", spread, reference))
    flip = np.repeat(np.eye(3)[None], len(p), 0)
    flip[:, 2, 2] = np.sign(np.linalg.det(u @ vt))
    scale = np.sqrt((reference**2).sum() / (spread**2).sum((1, 2)))
    turned: NDArray[np.float64] = np.einsum("tki,tij->tkj", p - center, u @ flip @ vt) * scale[:, None, None]
    return turned


def measures(points: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 68, 3) landmarks, finite -> (T, 12) `MEASURES`, in distances of the outer eye corners."""
    q = align(points)

    def apart(a: int, b: int) -> NDArray[np.float64]:
        return np.asarray(np.linalg.norm(q[:, a, :2] - q[:, b, :2], axis=1))

    y = q[..., 1]
    return np.stack(
        [
            y[:, 66] - y[:, 62],
            y[:, 57] - y[:, 51],
            apart(48, 54),
            apart(60, 64),
            y[:, 51] - y[:, 33],
            y[:, 57] - y[:, 33],
            y[:, 8] - y[:, 33],
            (y[:, 48] + y[:, 54] - y[:, 62] - y[:, 66]) / 2,
            y[:, 62] - y[:, 51],
            y[:, 57] - y[:, 66],
            (y[:, 67] - y[:, 61] + y[:, 65] - y[:, 63]) / 2,
            q[:, 48:60, 2].mean(1) - q[:, 33, 2],
        ],
        axis=1,
    ).astype(np.float32)


def at_25(values: NDArray[np.floating], fps: float) -> NDArray[np.float32]:
    """(T, K) at `fps`, NaN rows where unknown -> (N, K) at 25 per second, linear in time; row n is at n / 25 s.

    Raises:
        NoFace: no row is known.
    """
    known = np.isfinite(values).all(1)
    if not known.any():
        raise NoFace("the mouth was never seen", "no frame of the track has landmarks", "check the face track")
    times = np.arange(len(values)) / fps
    wanted = np.arange(int(len(values) * FPS / fps + 1e-6)) / FPS
    columns = [np.interp(wanted, times[known], column[known]) for column in np.asarray(values, np.float64).T]
    return np.stack(columns, axis=1).astype(np.float32)


def of_track(track: FaceTrack) -> NDArray[np.float32]:
    """(N, 12) measures of a face track at 25 per second; frames without a face are bridged.

    Raises:
        NoFace: the track has no landmarks with depth, or more than a fifth of its frames is lost.
    """
    if track.landmarks is None:
        raise NoFace(
            "the face track has boxes only",
            f"{track.backend} gives no landmarks, and lips are followed by them",
            "use the face backend mediapipe-face or demo-face",
        )
    lost = 1 - float(track.found.mean()) if len(track) else 1.0
    if lost > MOST_LOST:
        raise NoFace(
            f"the face is lost in {lost:.0%} of the frames",
            f"more than {MOST_LOST:.0%} cannot be bridged",
            "use a clip that shows the face throughout",
        )
    points = track.landmarks if track.landmarks.shape[1] == 68 else track.landmarks[:, list(MESH_TO_68)]
    rows = np.full((len(track), len(MEASURES)), np.nan, np.float32)
    rows[track.found] = measures(points[track.found])
    return at_25(rows, track.fps)
