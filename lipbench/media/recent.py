"""Frames of short videos that were read a moment ago: in a run, one metric family after the other looks at them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.by_file import identity
from lipbench.core.errors import MediaError
from lipbench.media.pixels import Decoder
from lipbench.media.probe import on_grid, probe
from lipbench.media.read import read_frames

#: Bytes of frames that are kept: source and truth of three dubs of eight seconds at 256 px, and what is measured.
LIMIT = 320 << 20
#: Bytes of a video's frames beyond which none are kept.
LONGEST = 64 << 20

_kept: dict[Hashable, list[NDArray[np.uint8]]] = {}  # the longest unused first


def read_again(
    path: str | Path, *, fps: float | None = None, decoder: Decoder = "exact"
) -> Iterator[NDArray[np.uint8]]:
    """What `read_frames` gives; the second time from memory, if the video is short and its file the same.

    All readers get the same arrays: they are read-only. At another rate than the file's own nothing is kept.

    Raises:
        MediaError, NoVideo, Truncated: as `read_frames`. Of such a video nothing is kept.
    """
    if fps is not None and not on_grid(path, fps):
        return read_frames(path, fps=fps, decoder=decoder)
    frames = read_frames(path, decoder=decoder)  # errors of missing files come at once
    key = identity(path)
    if key is None:  # a series of pictures
        return frames
    told = (key, decoder)
    return _read(told, frames, told in _kept or _is_short(path))


def _is_short(path: str | Path) -> bool:
    """Told before a frame is read: to find out on the way would take the memory that is not to be taken."""
    try:
        about = probe(path)
    except MediaError:  # whoever reads it learns why
        return False
    return about.n_frames * about.width * about.height * 3 <= LONGEST


def _read(key: Hashable, frames: Iterator[NDArray[np.uint8]], keep: bool) -> Iterator[NDArray[np.uint8]]:
    if key in _kept:
        _kept[key] = _kept.pop(key)
        yield from _kept[key]
        return
    held: list[NDArray[np.uint8]] = []
    for frame in frames:
        frame.flags.writeable = False
        if keep:
            held.append(frame)
        yield frame
    if held:
        _kept[key] = held
        while sum(len(one) * one[0].nbytes for one in _kept.values()) > LIMIT:
            _kept.pop(next(iter(_kept)))
