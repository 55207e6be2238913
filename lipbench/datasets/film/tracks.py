"""A sound track of a film as the aligner needs it: 8 kHz, on disk, with what the dialogue is not in set apart.

Dialogue lies in the middle of a stereo mix and in the center of a surround mix; music and effects, which a dub keeps,
lie beside it. So besides the mix of all channels (`mid`) a track has the difference of left and right (`side`) and, of
surround, the sum of all channels but the center (`bed`). They are kept in files and read in parts: memory does not
grow with the film.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from lipbench.core.errors import TooShort, disk_full
from lipbench.media.audio import AudioSource
from lipbench.media.streams import SoundChoice

#: Samples a second of everything that the aligner looks at.
RATE = 8000

#: A side or bed softer than this share of the mix is rounding noise of a mono track, not sound.
FAINT = 0.003

#: Samples, of the file, that are resampled at a time.
BLOCK = 1 << 16


class Tape:
    """(N,) int16 or float16 samples in a file: appended once, then read in parts.

    Args:
        path: the file, which is made.
        dtype: of the samples.
    """

    def __init__(self, path: Path, dtype: type[np.generic] = np.int16) -> None:
        self._dtype = np.dtype(dtype)
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.n = 0

    def append(self, samples: NDArray[np.generic]) -> None:
        """
        Raises:
            DiskFull: there is no room.
        """
        data = memoryview(np.ascontiguousarray(samples, self._dtype).tobytes())
        try:
            while len(data):
                data = data[os.write(self._file, data) :]
        except OSError as error:
            raise disk_full(error, self._path) from error
        self.n += len(samples)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Samples [start, stop) as float32; zeros where there are none."""
        out = np.zeros(max(stop - start, 0), np.float32)
        first, last = max(start, 0), min(stop, self.n)
        if last > first:
            size = self._dtype.itemsize
            data = os.pread(self._file, (last - first) * size, first * size)
            out[first - start : last - start] = np.frombuffer(data, self._dtype)
        return out

    def close(self) -> None:
        os.close(self._file)


@dataclass(frozen=True)
class Track:
    """A sound track at 8 kHz on the clock of its video.

    Attributes:
        mid: the mix of all channels.
        side: left minus right, None for mono or where both are the same.
        bed: of surround the sum of all channels but center and low frequencies, None otherwise.
        seconds: length.
        layout: FFmpeg's names of the channels.
    """

    mid: Tape
    side: Tape | None
    bed: Tape | None
    seconds: float
    layout: tuple[str, ...] = ()

    def close(self) -> None:
        for tape in (self.mid, self.side, self.bed):
            if tape is not None:
                tape.close()


def read_track(path: Path, folder: Path, choice: SoundChoice | None = None) -> Track:
    """Decode a sound track once, from beginning to end.

    Args:
        path: a file, or one of its streams as FILE:a:N.
        folder: an empty folder for the samples; the caller removes it.
        choice: which of the file's streams.

    Raises:
        MediaError, NoAudio: the file cannot be read or has no such sound.
        TooShort: it has no samples.
        DiskFull: there is no room in `folder`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layout: tuple[str, ...] = ()
    with AudioSource(path, choice) as source:
        columns = min(source.channels, 3)
        tapes, power = [Tape(folder / name) for name in ("mid", "side", "bed")[:columns]], np.zeros(columns)
        resampler = soxr.ResampleStream(source.rate, RATE, columns, "float32", "MQ")
        for rows, names in _rows(source, columns):
            layout = names or layout
            _append(tapes, _resampled(resampler, rows), power)
        _append(tapes, _resampled(resampler, np.zeros((0, columns), np.float32), last=True), power)
    n = tapes[0].n
    if n == 0:
        raise TooShort(f"{path} has no sound", "its audio stream is empty", "give another file or stream")
    kept: list[Tape | None] = [None, None]
    for i, (tape, p) in enumerate(zip(tapes[1:], power[1:], strict=True)):
        if p > FAINT**2 * power[0] + n:
            kept[i] = tape
        else:
            tape.close()
    return Track(tapes[0], kept[0], kept[1], n / RATE, layout)


def _resampled(resampler: soxr.ResampleStream, rows: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
    out = resampler.resample_chunk(rows if rows.shape[1] > 1 else rows[:, 0], last=last)
    return out.reshape(len(out), -1)


def _rows(source: AudioSource, columns: int) -> Iterator[tuple[NDArray[np.float32], tuple[str, ...]]]:
    """(N, columns) blocks of mid, side and bed, and the channels' names."""
    held: list[NDArray[np.generic]] = []
    size = 0
    names: tuple[str, ...] = ()
    for block, channels in source.blocks():
        if held and (channels != names or size >= BLOCK or held[0].dtype != block.dtype):
            yield _mixes(np.concatenate(held, axis=1), names, columns), names
            held, size = [], 0
        held.append(block)
        names = channels
        size += block.shape[1]
    if held:
        yield _mixes(np.concatenate(held, axis=1), names, columns), names


def _mixes(block: NDArray[np.generic], names: tuple[str, ...], columns: int) -> NDArray[np.float32]:
    x = block.astype(np.float32)
    if block.dtype == np.int16:
        x /= 32768
    out = np.zeros((x.shape[1], columns), np.float32)
    heard = [i for i, name in enumerate(names) if name != "LFE"] if len(names) == len(x) else list(range(len(x)))
    out[:, 0] = x[heard].mean(axis=0)
    if len(x) > 1 and columns > 1:
        out[:, 1] = (x[0] - x[1]) / 2
    rest = [i for i in heard if i < len(names) and names[i] != "FC"]
    if columns > 2 and 0 < len(rest) < len(heard):
        out[:, 2] = x[rest].mean(axis=0)
    return out


def _append(tapes: list[Tape], rows: NDArray[np.float32], power: NDArray[np.float64]) -> None:
    for i, tape in enumerate(tapes):
        samples = np.clip(np.rint(rows[:, i] * 32768), -32768, 32767).astype(np.int16)
        power[i] += float(np.square(samples, dtype=np.float64).sum())
        tape.append(samples)


def pairs(film: Track, dub: Track) -> list[tuple[Tape, Tape]]:
    """The channels of a film and of its dub that hold the same music and effects, the mixes first.

    What one of them has and the other has not is left out: a side says nothing about a mono dub.
    """
    mid, rest = (film.mid, dub.mid), []
    if film.bed is not None and dub.bed is not None:
        return [mid, (film.bed, dub.bed)]
    if film.bed is not None:
        mid = film.bed, dub.mid
    elif dub.bed is not None:
        mid = film.mid, dub.bed
    if film.side is not None and dub.side is not None:
        rest.append((film.side, dub.side))
    return [mid, *rest]
