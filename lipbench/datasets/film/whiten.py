"""Sound of which only the phases are left: in every cell of a 64 ms grid a soft bed counts as much as a loud voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy import fft

from lipbench.datasets.film.tracks import RATE, Tape

#: Samples of a spectrum (64 ms) and between two of them.
WINDOW, HOP = 512, 128

#: Magnitudes, of a windowed spectrum of 16-bit steps, below which there is quantization noise and no phase.
FLOOR = 12.0

#: Hz below which there is rumble.
LOWEST = 60.0

#: Samples made at a time.
BLOCK = HOP * 4096


def whitened(tape: Tape, path: Path) -> Tape:
    """The whitened sound of a channel, sample for sample, as a tape of float16 at `path`.

    Raises:
        DiskFull: there is no room.
    """
    out = Tape(path, np.float16)
    for start in range(0, tape.n, BLOCK):
        stop = min(start + BLOCK, tape.n)
        part = _whiten(tape.read(start - WINDOW, start + BLOCK + WINDOW))
        out.append(part[WINDOW : WINDOW + stop - start])
    return out


def _whiten(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) with N a multiple of HOP; the first and last WINDOW samples are not whole."""
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x, WINDOW)[::HOP] * window
    spectrum = fft.rfft(frames, axis=1)
    spectrum /= np.abs(spectrum) + FLOOR
    spectrum[:, : int(LOWEST / RATE * WINDOW) + 1] = 0
    rows = (fft.irfft(spectrum, WINDOW, axis=1) * window).astype(np.float32)
    steps, n = WINDOW // HOP, len(rows)
    out = np.zeros((n + steps - 1, HOP), np.float32)
    for k in range(steps):
        out[k : k + n] += rows[:, k * HOP : (k + 1) * HOP]
    return out.reshape(-1)


def at_speed(tape: Tape, rate: float, path: Path) -> Tape:
    """The sound of a channel as it is when played so that it lasts `rate` times as long, at `path`.

    Raises:
        DiskFull: there is no room.
    """
    out = Tape(path)
    resampler = soxr.ResampleStream(RATE, RATE * rate, 1, "float32", "MQ")
    for start in range(0, tape.n, BLOCK):
        out.append(_steps(resampler.resample_chunk(tape.read(start, min(start + BLOCK, tape.n)))))
    out.append(_steps(resampler.resample_chunk(np.zeros(0, np.float32), last=True)))
    return out


def _steps(x: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.rint(x), -32768, 32767).astype(np.int16)
