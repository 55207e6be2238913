"""What was computed of a picture and is asked for again: a dub's reference meets one method after the other."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from lipbench.metrics.arrays import Frame

Kept = TypeVar("Kept")


class Shelf(Generic[Kept]):
    """Results by the pixels that they were computed of, within a limit of bytes.

    Whoever uses it says whose turn it is, any hashable name. What the present user took or put is never dropped for
    its own further pictures: a clip that does not fit would push out every picture just before it is needed again.

    Args:
        limit: bytes; what does not fit is computed again.
        size: bytes of a result.
    """

    def __init__(self, limit: int, size: Callable[[Kept], int]) -> None:
        self.limit, self.used = limit, 0
        self._size = size
        self._turn: Hashable = None
        self._kept: OrderedDict[bytes, tuple[Kept, Hashable]] = OrderedDict()  # the longest unused first

    def turn(self, user: Hashable) -> None:
        """From now on this user takes and puts."""
        self._turn = user

    def get(self, picture: Frame) -> Kept | None:
        """What was put for these very pixels, if it is still here."""
        key = _key(picture)
        if key not in self._kept:
            return None
        value = self._kept.pop(key)[0]
        self._kept[key] = (value, self._turn)
        return value

    def put(self, picture: Frame, value: Kept) -> None:
        """Keep a result, unless there is no room."""
        key, size = _key(picture), self._size(value)
        if key in self._kept or size > self.limit:
            return
        while self.used + size > self.limit:
            oldest = next(iter(self._kept), None)
            if oldest is None or self._kept[oldest][1] == self._turn:
                return
            self.used -= self._size(self._kept.pop(oldest)[0])
        self._kept[key] = (value, self._turn)
        self.used += size


def _key(picture: Frame) -> bytes:
    digest = hashlib.blake2b(repr(picture.shape).encode(), digest_size=16)
    digest.update(picture.tobytes())
    return digest.digest()
