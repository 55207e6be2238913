"""The mel spectrogram that Wav2Lip hears, without librosa's version traps.

Numbers of github.com/Rudrabha/Wav2Lip (audio.py, hparams.py): 16 kHz, pre-emphasis 0.97, 800-point periodic Hann,
hop 200 (80 columns per second), centered with reflected edges, 80 Slaney bands from 55 to 7600 Hz, decibels around
20 dB, scaled to [-4, 4].
"""

from __future__ import annotations

import itertools
from functools import cache
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import TooShort

RATE, N_FFT, HOP = 16000, 800, 200
COLUMNS_PER_SECOND = RATE / HOP
BANDS, F_MIN, F_MAX = 80, 55.0, 7600.0
PREEMPHASIS, REFERENCE_DB, FLOOR_DB, LIMIT = 0.97, 20.0, -100.0, 4.0
STEPS = 16  # columns of one window, 0.2 s
_BLOCK = 4096  # columns per FFT call: bounds the memory for long recordings


@cache
def basis() -> NDArray[np.float32]:
    """(80, 401) Slaney mel filters of unit area, float32 like librosa's default."""
    from librosa.filters import mel

    filters: NDArray[np.float32] = mel(sr=RATE, n_fft=N_FFT, n_mels=BANDS, fmin=F_MIN, fmax=F_MAX)
    filters.setflags(write=False)
    return filters


def melspectrogram(audio: NDArray[np.int16] | NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) samples at 16 kHz, int16 or float in [-1, 1] -> (80, 1 + N // 200) in [-4, 4].

    Raises:
        TooShort: fewer than 401 samples, which cannot be reflected at the edges.
        ValueError: not one-dimensional, or NaN in it.
    """
    signal = np.asarray(audio)
    if signal.ndim != 1:
        raise ValueError(f"mono samples expected, not an array of shape {signal.shape}")
    if len(signal) <= N_FFT // 2:
        raise TooShort(
            f"the audio has {len(signal)} samples",
            f"a spectrogram needs more than {N_FFT // 2} ({N_FFT / 2 / RATE * 1000:.0f} ms)",
            "use a longer dub",
        )
    x = signal.astype(np.float64) / (32768.0 if np.issubdtype(signal.dtype, np.integer) else 1.0)
    if not np.isfinite(x).all():
        raise ValueError("the audio holds NaN or infinity")
    x[1:] -= PREEMPHASIS * x[:-1].copy()
    x = np.pad(x, N_FFT // 2, mode="reflect")

    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    columns = np.lib.stride_tricks.sliding_window_view(x, N_FFT)[::HOP]  # (T, 800)
    filters = basis()
    energy = np.empty((BANDS, len(columns)))
    for start in range(0, len(columns), _BLOCK):
        magnitude = np.abs(np.fft.rfft(columns[start : start + _BLOCK] * window, axis=1))  # (t, 401)
        energy[:, start : start + _BLOCK] = filters @ magnitude.T
    decibel = 20 * np.log10(np.maximum(1e-5, energy)) - REFERENCE_DB
    return np.clip(2 * LIMIT * (decibel - FLOOR_DB) / -FLOOR_DB - LIMIT, -LIMIT, LIMIT)


def window_starts(columns: int, fps: float, count: int | None = None) -> list[int]:
    """First spectrogram column of the 0.2 s of audio behind every video frame; window i starts at i / fps.

    Args:
        columns: length of the spectrogram.
        fps: frames per second of the video.
        count: how many windows. None is upstream's number: all that fit and one more with the last 16 columns, which
            drops the last 0.1 s of a video. With a count, that last window is repeated instead.

    Raises:
        TooShort: less audio than one window.
    """
    last = columns - STEPS
    if last < 0:
        raise TooShort(
            f"the audio has {columns} spectrogram columns",
            f"one window needs {STEPS} ({STEPS / COLUMNS_PER_SECOND:.1f} s)",
            "use a longer dub",
        )
    step = COLUMNS_PER_SECOND / fps
    fitting = takewhile(lambda start: start <= last, (int(i * step) for i in itertools.count()))
    starts = [*fitting, last]
    return starts if count is None else (starts + [last] * count)[:count]
