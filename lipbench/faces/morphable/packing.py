"""Smooth float32 tables as bytes that deflate well, without loss.

Neighboring vertices move alike. So the bits of each float become an integer that grows with the number, the difference
to the vertex before is kept, and the four bytes of all differences are laid apart: the high ones are mostly zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.int32]


def pack(table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(K, N, 3) float32 -> (4, K, 3, N) bytes, the lowest first."""
    ordered = _flip_negative(np.ascontiguousarray(np.swapaxes(table, 1, 2), "<f4").view("<i4"))
    steps = np.diff(ordered, axis=2, prepend=np.int32(0))  # wraps around, and back in `unpack`
    folded = (steps << 1) ^ (steps >> 31)  # small steps down are small numbers too
    return np.moveaxis(folded.astype("<i4")[..., None].view(np.uint8), -1, 0).copy()


def unpack(planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What `pack` was given, bit for bit."""
    folded = np.zeros(planes.shape[1:], np.uint32)
    for k, plane in enumerate(planes):
        folded |= plane.astype(np.uint32) << np.uint32(8 * k)
    steps = (folded >> np.uint32(1)) ^ -(folded & np.uint32(1))
    ordered = np.cumsum(steps, axis=2, dtype=np.uint32).view(np.int32)
    return np.ascontiguousarray(np.swapaxes(_flip_negative(ordered).view(np.float32), 1, 2))


def _flip_negative(bits: Words) -> Words:
    """Bits of floats <-> integers in the order of the floats; its own inverse, and -0.0 stays apart from 0.0."""
    return bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))
