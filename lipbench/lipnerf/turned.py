"""Heads that turn further than reliefs can follow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.nerf.relief.sides import FARTHEST, LEAST


def turned_away(
    rotation: NDArray[np.floating], translation: NDArray[np.floating], fronts: Sequence[float] = (0.0,)
) -> NDArray[np.float64]:
    """(T,) degrees, 0 to 180, between the nearest front of a head's reliefs and where its camera stands.

    Args:
        rotation: (T, 3, 3) head to camera, x right, y up, the face along z.
        translation: (T, 3) dm, of the head in camera space.
        fronts: degrees about the head's vertical axis; 0 is where the face looks.
    """
    turn, to_camera = np.asarray(rotation, np.float64), -np.asarray(translation, np.float64)
    angle = np.radians(fronts)
    ahead = turn @ np.stack([np.sin(angle), np.zeros(len(angle)), np.cos(angle)])  # (T, 3, P)
    cosine = np.einsum("tip,ti->tp", ahead, to_camera).max(1) / np.maximum(np.linalg.norm(to_camera, axis=1), 1e-9)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))), np.float64)


def remarks_on_turns(degrees: Sequence[NDArray[np.floating]], fronts: Sequence[float] = (0.0,)) -> list[str]:
    """What a user of reliefs should know of frames turned by (T,) degrees from their nearest front, of the clip and
    of each further shot; nothing where reliefs can follow them."""
    found = []
    for k, one in enumerate(degrees):
        far = np.flatnonzero(one > FARTHEST)
        if not len(far):
            continue
        whose = f"frames of the further shot {k}" if k else "frames"
        seen = " and ".join(f"{front:g}" for front in fronts)
        found.append(
            f"{len(far)} of {len(one)} {whose} turn the head by more than {FARTHEST:.0f} degrees from where it is "
            f"modeled from ({seen} degrees), up to {one.max():.0f}, the first is frame {far[0]}: their picture breaks; "
            f"leave these frames out, or use field: mlp (a side is modeled from {LEAST} frames of it on)"
        )
    return found
