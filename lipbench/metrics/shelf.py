"""What was computed of a picture and is asked for again: a dub's reference meets one method after the other.

It lies in nameless files in the folder for temporary files (`TMPDIR`), which end with the process: reading a result
costs a twentieth of computing it, and memory is needed for other things.
"""

from __future__ import annotations

import hashlib
import math
import shutil
import tempfile
from collections.abc import Hashable, Sequence
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lipbench.metrics.arrays import Frame

Arrays = Sequence[NDArray[np.float32]]
#: The part of the free disk that is used at most.
PART = 8


class Shelf:
    """Arrays by the pixels that they were computed of, within a limit of bytes.

    Whoever uses it says whose turn it is, any hashable name. What the present user took or put is never dropped for
    its own further pictures: a clip that does not fit would push out every picture just before it is needed again.

    Args:
        limit: bytes; what does not fit is computed again.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.used = limit, 0
        self._turn: Hashable = None
        self._files: dict[Hashable, _File] = {}  # by who put it there; the longest unused first

    def turn(self, user: Hashable) -> None:
        """From now on this user takes and puts."""
        self._turn = user

    def get(self, picture: Frame) -> Arrays | None:
        """What was put for these very pixels, if it is still here."""
        key = _key(picture)
        for owner, file in self._files.items():
            if key in file:
                file.user = self._turn
                self._files[owner] = self._files.pop(owner)
                return file.read(key)
        return None

    def put(self, picture: Frame, arrays: Arrays) -> None:
        """Keep a result, unless there is no room."""
        key, size = _key(picture), sum(array.nbytes for array in arrays)
        if size > self.limit or any(key in file for file in self._files.values()):
            return
        while self.used + size > self.limit:
            owner, oldest = next(iter(self._files.items()))
            if oldest.user == self._turn:
                return
            self.used -= oldest.size
            self._files.pop(owner).close()
        try:
            if self._turn not in self._files:
                self._files[self._turn] = _File(self._turn)
                self.limit = min(self.limit, self.used + shutil.disk_usage(tempfile.gettempdir()).free // PART)
            self._files[self._turn].write(key, arrays)
        except OSError:  # the disk is full: no more is kept
            self.limit = self.used
        else:
            self.used += size


class _File:
    """What one user put.

    Attributes:
        user: who took or put something last.
        size: bytes.
    """

    def __init__(self, user: Hashable) -> None:
        self.user, self.size = user, 0
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the shelf
        self._places: dict[bytes, tuple[int, list[tuple[int, ...]]]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def write(self, key: bytes, arrays: Arrays) -> None:
        self._file.seek(self.size)
        for array in arrays:
            self._file.write(np.ascontiguousarray(array, np.float32).data)
        self._file.flush()
        self._places[key] = self.size, [array.shape for array in arrays]
        self.size = self._file.tell()

    def read(self, key: bytes) -> Arrays:
        start, shapes = self._places[key]
        sizes = [math.prod(shape) for shape in shapes]
        # Mapped, not read: nothing is copied. Whoever writes into it does so for itself ("c").
        whole = np.memmap(self._file, np.float32, "c", start, (sum(sizes),)).view(np.ndarray)
        parts = np.split(whole, np.cumsum(sizes)[:-1])
        return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]

    def close(self) -> None:
        self._file.close()


def _key(picture: Frame) -> bytes:
    # The fastest of the library's where the processor has instructions for it, and as fast as others where not.
    digest = hashlib.sha1(repr(picture.shape).encode(), usedforsecurity=False)
    digest.update(np.ascontiguousarray(picture).data)
    return digest.digest()
