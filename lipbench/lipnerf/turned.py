"""Heads that turn further than a relief can follow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Degrees between face and camera beyond which a relief breaks: it knows a head as it is seen from the front.
FARTHEST = 60.0


def turned_away(rotation: NDArray[np.floating], translation: NDArray[np.floating]) -> NDArray[np.float64]:
    """(T,) degrees, 0 to 180, between where a face looks and where its camera stands.

    Args:
        rotation: (T, 3, 3) head to camera, x right, y up, the face along z.
        translation: (T, 3) dm, of the head in camera space.
    """
    ahead, to_camera = np.asarray(rotation, np.float64)[:, :, 2], -np.asarray(translation, np.float64)
    cosine = (ahead * to_camera).sum(1) / np.maximum(np.linalg.norm(to_camera, axis=1), 1e-9)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.float64)


def remarks_on_turns(degrees: NDArray[np.floating]) -> list[str]:
    """What a user of a relief should know of frames turned by (T,) degrees; nothing where it can follow them."""
    far = np.flatnonzero(degrees > FARTHEST)
    if not len(far):
        return []
    return [
        f"{len(far)} of {len(degrees)} frames turn the head by more than {FARTHEST:.0f} degrees, up to "
        f"{degrees.max():.0f}, the first is frame {far[0]}: a relief knows a head from the front, its picture of the "
        "sides breaks there; leave these frames out, or use field: mlp"
    ]
