"""What changes in each band of a sound, at equal weight whether loud or soft: a soft bed counts as much as a voice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lipbench.datasets.film.tracks import RATE, Tape

#: Features a second, samples of a spectrum (32 ms), and bands, spaced evenly in log frequency between two edges (Hz).
FEATURE_RATE = 100
HOP = RATE // FEATURE_RATE
WINDOW = 256
BANDS = 16
LOWEST, HIGHEST = 90.0, 3600.0

#: Energy of a band that is added before the logarithm: about a step of quantization.
FLOOR = 30.0

#: Features over which the mean is taken out, and those over which the deviation is made 1 (0.5 s, 3 s).
MEAN_OVER, DEVIATION_OVER = 51, 301

#: Deviations are cut here, and kept as that many 127ths of a byte.
LIMIT = 3.0

#: Root mean square, in steps of 16 bits, below which a frame is silent: noise of the studio, not sound.
SILENT = 6.0

#: Features made at a time.
BLOCK = 6000
_MARGIN = DEVIATION_OVER // 2 + MEAN_OVER // 2 + 2


def bank() -> NDArray[np.float32]:
    """(WINDOW // 2 + 1, BANDS) triangular filters."""
    hz = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    edges = np.geomspace(LOWEST, HIGHEST, BANDS + 2)
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hz[:, None] - low) / (mid - low), (high - hz[:, None]) / (high - mid)
    return np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)


def features(tape: Tape) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """The features of a channel, and where it is not silent.

    Returns:
        (T, BANDS) int8 at FEATURE_RATE: the log energy of each band without its mean over half a second, over its
        deviation in three seconds, times 127 / LIMIT; and (T,) bool.
    """
    n = tape.n // HOP
    out, heard = np.empty((n, BANDS), np.int8), np.empty(n, bool)
    window, filters = np.hanning(WINDOW + 1)[:-1].astype(np.float32), bank()
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        first, last = max(start - _MARGIN, 0), min(stop + _MARGIN, n)
        samples = tape.read(first * HOP - WINDOW // 2, last * HOP + WINDOW)
        frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[: (last - first) * HOP : HOP]
        spectrum = fft.rfft(frames * window, axis=1)
        energy = (np.square(spectrum.real) + np.square(spectrum.imag)) @ filters
        logs = np.log(energy + FLOOR)
        logs -= box(logs, MEAN_OVER)
        logs /= np.sqrt(box(np.square(logs), DEVIATION_OVER) + 0.02)
        inner = slice(start - first, stop - first)
        out[start:stop] = np.rint(np.clip(logs[inner], -LIMIT, LIMIT) * (127 / LIMIT)).astype(np.int8)
        heard[start:stop] = np.square(frames[inner]).mean(axis=1) > SILENT**2
    return out, heard


def box(x: NDArray[np.float32], n: int) -> NDArray[np.float32]:
    """The mean of n rows (odd) around each row of (T, C); the ends are repeated."""
    sums = np.cumsum(np.pad(x, ((n // 2 + 1, n // 2), (0, 0)), mode="edge"), axis=0, dtype=np.float64)
    return ((sums[n:] - sums[:-n]) / n).astype(np.float32)


def stretched(part: NDArray[np.int8], rate: float) -> NDArray[np.float32]:
    """(T, C) features as they are when played so that they last `rate` times as long."""
    x = part.astype(np.float32)
    if rate == 1.0 or len(x) < 2:
        return x
    at = np.arange(int(len(x) * rate)) / rate
    left = np.minimum(at.astype(int), len(x) - 2)
    weight = (at - left)[:, None].astype(np.float32)
    return x[left] * (1 - weight) + x[left + 1] * weight
