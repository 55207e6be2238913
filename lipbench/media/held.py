"""Frames of a clip as one array, which may be longer than memory is large."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import disk_full

#: Bytes of frames that are held in memory; those of longer clips lie in a file without a name.
IN_MEMORY = 1 << 30


def hold(frames: Iterable[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Frames of one shape as (T, ...) uint8; they are taken one by one.

    Beyond a gigabyte (two minutes of 720p are eight) they are written to a file in the folder for temporary files
    (`TMPDIR`) and mapped: the system keeps in memory what is looked at, and the file is gone with the array.

    Raises:
        ValueError: no frame.
        DiskFull: the folder for temporary files is full.
    """
    held: list[NDArray[np.uint8]] = []
    file: IO[bytes] | None = None
    count, size = 0, 0
    shape: tuple[int, ...] = ()
    for frame in frames:
        count, size, shape = count + 1, size + frame.nbytes, frame.shape
        if file is not None:
            _write(file, [frame])
            continue
        held.append(frame)
        if size > IN_MEMORY:
            file = tempfile.TemporaryFile(prefix="lipbench-frames-")  # noqa: SIM115  # the array closes it
            _write(file, held)
            held.clear()
    if file is None:
        return np.stack(held)
    file.flush()
    mapped: NDArray[np.uint8] = np.memmap(file, np.uint8, "r+", shape=(count, *shape))
    return mapped


def _write(file: IO[bytes], frames: list[NDArray[np.uint8]]) -> None:
    try:
        for frame in frames:
            file.write(np.ascontiguousarray(frame).data)
    except OSError as error:
        raise disk_full(error, Path(tempfile.gettempdir())) from error
