"""Frames without a face: filled from their neighbors, so that every frame has a pose; `found` says which."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

Array = NDArray[Any]


def fill(values: Array, found: NDArray[np.bool_]) -> Array:
    """(n, ...) values of the found frames -> (T, ...) of all: linear in between, constant beyond the ends."""
    frames, at = np.arange(len(found)), np.flatnonzero(found)
    flat = values.reshape(len(values), -1)
    out = np.stack([np.interp(frames, at, column) for column in flat.T], 1) if flat.shape[1] else flat
    return np.asarray(out.reshape(len(found), *values.shape[1:]))


def fill_rotations(values: Array, found: NDArray[np.bool_]) -> Array:
    """(n, 3, 3) -> (T, 3, 3): along the great arc in between, constant beyond the ends."""
    at = np.flatnonzero(found)
    if len(at) == 1:
        return np.repeat(values, len(found), 0)
    frames = np.clip(np.arange(len(found)), at[0], at[-1])
    return np.asarray(Slerp(at, Rotation.from_matrix(values))(frames).as_matrix())


def runs(found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) for the found frames: whether the frame before it in time was found too."""
    at = np.flatnonzero(found)
    return np.r_[False, np.diff(at) == 1]
