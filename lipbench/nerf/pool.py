"""Memory of activations, used again.

A step makes and drops the same dozens of megabyte-sized matrices for every micro-batch. The C library gives such memory
back to the system at once and asks for it again, and the system clears every page: a tenth of a step's time.
"""

from __future__ import annotations

from torch import Tensor

LIMIT = 128 << 20  # bytes kept for later
GRAIN = 1 << 18  # sizes are rounded up to this, so that a few rows more find their place again

_free: list[Tensor] = []


def take(rows: int, columns: int, like: Tensor) -> Tensor:
    """An uninitialized (rows, columns) matrix of the type and on the device of `like`."""
    if like.device.type != "cpu":  # a GPU's allocator keeps its memory by itself
        return like.new_empty(rows, columns)
    need = rows * columns * like.element_size()
    best, found = 4 * need + GRAIN, -1
    for k, t in enumerate(_free):
        size = t.untyped_storage().nbytes()
        if need <= size < best and t.dtype == like.dtype:
            best, found = size, k
    if found >= 0:
        try:
            return _free.pop(found).resize_(rows, columns)
        except IndexError:  # another thread was faster
            pass
    whole = -(-need // GRAIN) * GRAIN // like.element_size()
    return like.new_empty(whole).resize_(rows, columns)


def give(*tensors: Tensor) -> None:
    """Hand back what `take` gave, once it is no longer read."""
    for t in tensors:
        if t.device.type == "cpu":
            _free.append(t)
    while _free and sum(t.untyped_storage().nbytes() for t in _free) > LIMIT:
        _free.pop(0)
