"""Arrays of a clip's length, which may be larger than memory is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lipbench.core.errors import disk_full

#: Bytes of an array that are held in memory; what is larger lies in a file without a name.
IN_MEMORY = 256 << 20


def hold(frames: Iterable[NDArray[Any]]) -> NDArray[Any]:
    """Frames of one shape and type as (T, ...) of that type; they are taken one by one.

    Beyond `IN_MEMORY` (two minutes of 720p are eight gigabytes) they are written to a file in the folder for temporary
    files (`TMPDIR`) and mapped: the system keeps in memory what is looked at, and the file is gone with the array.

    Raises:
        ValueError: no frame.
        DiskFull: the folder for temporary files is full.
    """
    held: list[NDArray[Any]] = []
    file: IO[bytes] | None = None
    count, size = 0, 0
    shape: tuple[int, ...] = ()
    dtype: DTypeLike = np.uint8
    for frame in frames:
        count, size, shape, dtype = count + 1, size + frame.nbytes, frame.shape, frame.dtype
        if file is not None:
            _write(file, [frame])
            continue
        held.append(frame)
        if size > IN_MEMORY:
            file = _file()
            _write(file, held)
            held.clear()
    if file is None:
        return np.stack(held)
    file.flush()
    return _mapped(file, dtype, (count, *shape))


def room(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An array to be filled, held as `hold` holds frames; what is in it at first means nothing.

    Raises:
        DiskFull: the folder for temporary files is full.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    file = _file()
    try:
        # All of it now: a mapped file that finds its disk full later takes the process with it.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            blank = bytes(1 << 20)
            for first in range(0, size, len(blank)):
                file.write(blank[: size - first])
            file.flush()
    except OSError as error:
        raise disk_full(error, Path(tempfile.gettempdir())) from error
    return _mapped(file, dtype, shape)


def taken(array: NDArray[Any], rows: NDArray[np.integer]) -> NDArray[Any]:
    """Some rows of a held array, held in the same way; rows that follow one another are looked at, not copied.

    Raises:
        DiskFull: the folder for temporary files is full.
    """
    if not len(rows):
        return array[:0]
    if (np.diff(rows) == 1).all() and rows[0] >= 0:
        return array[rows[0] : rows[-1] + 1]
    return hold(array[t] for t in rows)


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile(prefix="lipbench-frames-")  # the array closes it


def _mapped(file: IO[bytes], dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
    mapped: NDArray[Any] = np.memmap(file, dtype, "r+", shape=shape)
    return mapped


def _write(file: IO[bytes], frames: list[NDArray[Any]]) -> None:
    try:
        for frame in frames:
            file.write(np.ascontiguousarray(frame).data)
    except OSError as error:
        raise disk_full(error, Path(tempfile.gettempdir())) from error
