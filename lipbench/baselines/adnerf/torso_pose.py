"""What AD-NeRF's torso is conditioned on besides the audio: where the head is (NeRFs/TorsoNeRF/run_nerf.py)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from lipbench.nerf.encoding import encoded_size, positional_encoding

FREQUENCIES = 3
POSE_DIM = 2 * encoded_size(FREQUENCIES)  # 42


def angles(c2w: ArrayLike) -> NDArray[np.float64]:
    """(T, 3, 4) cameras -> (T, 3) the published code's three angles of them (`rot_to_euler`), radians.

    They are not the tracker's Euler angles: the function is the inverse of the tracker's head-to-camera rotation, is
    given its transpose, and has the arguments of one atan2 the other way round. As a code of the pose that does not
    matter, and published weights have learned it; without rotation it is (pi/2, 0, pi/2).
    """
    r = np.asarray(c2w, np.float64)
    first = np.arctan2(r[:, 2, 2], r[:, 1, 2])
    second = np.arcsin(np.clip(-r[:, 0, 2], -1.0, 1.0))
    third = np.arctan2(r[:, 0, 0], -r[:, 0, 1])
    return np.stack([first, second, third], 1)


def pose_code(c2w: ArrayLike) -> NDArray[np.float32]:
    """(T, 3, 4) cameras in head space, meters -> (T, 42): angles and camera position, three frequencies each."""
    both = np.stack([angles(c2w), np.asarray(c2w, np.float64)[:, :, 3]], 1)  # (T, 2, 3)
    out: NDArray[np.float32] = positional_encoding(torch.from_numpy(both).float(), FREQUENCIES).flatten(1).numpy()
    return out
