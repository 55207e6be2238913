"""Single sounds that a film and its dub share, found in cells of two seconds that do not overlap.

In each cell the whitened waveforms are correlated. A peak that stands alone, and far above the rest of its own curve,
is a sound heard in both: it takes a wide band and no repetition to make one (a hum has many peaks, and is none). Cells
do not overlap, so that one sound is one witness.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lipbench.datasets.film.tracks import RATE, Tape

#: Seconds of a cell, and how far around the expected lag it is looked at.
CELL_S, AROUND_S = 2.0, 0.06

#: A peak over the spread of its own curve that makes a sound heard; 960 lags of noise reach 4.
SHARP = 7.0

#: A peak with a rival that is higher than this share of it, farther away than a sound is wide (s), tells nothing.
RIVAL, WIDE_S = 0.8, 0.0012

#: Root mean square, in steps of 16 bits, below which a cell is silent.
SILENT = 6.0


@dataclass(frozen=True)
class Cell:
    """A cell of film, at the dub's speed.

    Attributes:
        at: its beginning, s (film time times the rate).
        lag: dub time less that, s, of its peak.
        z: the peak over the spread of the curve.
        likeness: the peak as a share of what equal sounds give.
        own: the same of the mixes alone, dialogue and all.
        alone: no other peak comes near it.
        sign: -1 where the dub is of the other polarity.
    """

    at: float
    lag: float
    z: float
    likeness: float
    own: float
    alone: bool
    sign: int

    @property
    def sharp(self) -> bool:
        return self.alone and self.z >= SHARP


class Matcher:
    """Pairs of whitened channels, and of the channels as they are, which say where there is sound.

    Args:
        white: (film at the dub's speed, dub) of each pair of channels.
        plain: the same before whitening; only the first pair.
    """

    def __init__(self, white: list[tuple[Tape, Tape]], plain: tuple[Tape, Tape]) -> None:
        self.white, self._plain = white, plain
        self.film_n, self.dub_n = plain[0].n, plain[1].n

    def cells(self, expected: Callable[[float], tuple[float, ...]]) -> Iterator[Cell]:
        """Every cell that is not silent, at the best of the lags that are expected there (s, of its middle)."""
        size = round(CELL_S * RATE)
        for start in range(0, self.film_n - size + 1, size):
            lags = expected((start + size / 2) / RATE)
            if not lags or _level(self._plain[0].read(start, start + size)) < SILENT:
                continue
            found = [cell for lag in lags if (cell := self._cell(start, size, lag)) is not None]
            if found:
                yield max(found, key=lambda cell: cell.z)

    def _cell(self, start: int, size: int, lag: float) -> Cell | None:
        around = round(AROUND_S * RATE)
        first = start + round(lag * RATE) - around
        if first + 2 * around + size <= 0 or first >= self.dub_n:
            return None
        if _level(self._plain[1].read(first + around, first + around + size)) < SILENT:
            return None
        curves = []
        n = fft.next_fast_len(size + 2 * around, True)
        for film, dub in self.white:
            x, y = film.read(start, start + size), dub.read(first, first + size + 2 * around)
            curve = fft.irfft(fft.rfft(y, n) * fft.rfft(x, n).conj(), n)[: 2 * around + 1]
            power = np.sqrt(float(np.square(x).sum()) * float(np.square(y).mean()) * size)
            curves.append(curve / (power + 1e-9))
        return _peak(np.mean(curves, axis=0), curves[0], start, first)

    def products(self, start: int, stop: int, lag: int, block: int) -> NDArray[np.float64]:
        """Sums, over blocks of samples, of film times dub at a lag (samples), all pairs of channels together."""
        out = np.zeros((stop - start) // block)
        for film, dub in self.white:
            x = film.read(start, start + len(out) * block) * dub.read(start + lag, start + lag + len(out) * block)
            out += x.reshape(-1, block).sum(axis=1, dtype=np.float64)
        return out


def _level(samples: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.square(samples).mean()))


def _peak(curve: NDArray[np.float32], mix: NDArray[np.float32], start: int, first: int) -> Cell:
    size = np.abs(curve)
    k = int(np.argmax(size))
    wide = round(WIDE_S * RATE)
    rest = np.concatenate([size[: max(k - wide, 0)], size[k + wide + 1 :]])
    z = float(size[k]) / (1.4826 * float(np.median(rest)) + 1e-9)
    at = float(k)
    if 0 < k < len(size) - 1:
        a, b, c = (float(v) for v in size[k - 1 : k + 2])
        if a - 2 * b + c < 0:
            at += 0.5 * (a - c) / (a - 2 * b + c)
    inside = 0 < k < len(size) - 1
    alone = inside and float(rest.max(initial=0.0)) < RIVAL * float(size[k])
    sign = 1 if curve[k] >= 0 else -1
    return Cell(start / RATE, (first + at - start) / RATE, z, float(size[k]), sign * float(mix[k]), alone, sign)
