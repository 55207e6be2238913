"""Where heads look, from 68 points: good to some degrees, enough to tell a profile from a portrait."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable.procedural import head_parts

#: Points of the 68 that a speaking mouth leaves where they are: bridge and wings of the nose, corners of the eyes.
STEADY = (27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45)
#: Focal length over the width of the image: a view of some 45 degrees, as nothing better is known.
FOCAL = 1.2


@cache
def _model() -> NDArray[np.float64]:
    """(11, 3) of the procedural head, x right, y down, z away from the camera."""
    parts = head_parts()
    return parts.points[parts.landmarks.points[list(STEADY)]] * (1, -1, -1)


def head_angles(points: NDArray[np.floating], width: int, height: int) -> NDArray[np.float64]:
    """(N, 68, 2) px -> (N, 2) yaw and pitch in degrees; yaw > 0 looks to the image's right, pitch > 0 up.

    Args:
        width: of the image, px.
        height: of the image, px.

    A row is NaN where no pose explains the points.
    """
    import cv2

    focal = FOCAL * max(width, height)
    camera = np.asarray([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    out = np.full((len(points), 2), np.nan)
    for i, row in enumerate(points):
        seen = np.ascontiguousarray(row[list(STEADY)], np.float64)
        if not np.isfinite(seen).all():
            continue
        good, turn, _ = cv2.solvePnP(_model(), seen, camera, None, flags=cv2.SOLVEPNP_SQPNP)
        if good:
            ahead = cv2.Rodrigues(turn)[0] @ (0, 0, -1)  # where the nose points
            out[i] = np.degrees([np.arctan2(ahead[0], -ahead[2]), np.arcsin(np.clip(-ahead[1], -1, 1))])
    return out
