"""What is heard: 40 log-mel bands, 100 per second, four to each row of the mouth."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

RATE = 16000
BANDS = 40
HOP = 160
PER_FRAME = 4  # columns per video frame of 40 ms
_WINDOW, _FFT, _LOW_HZ, _HIGH_HZ, _FLOOR = 400, 512, 80.0, 7600.0, 1e-5


def _mel(hz: float) -> float:
    return float(2595 * np.log10(1 + hz / 700))


@cache
def filters() -> NDArray[np.float64]:
    """(257, 40) triangles on the mel scale of O'Shaughnessy (1987), 80 to 7600 Hz, peaks of 1."""
    edges = 700 * (10 ** (np.linspace(_mel(_LOW_HZ), _mel(_HIGH_HZ), BANDS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(_FFT, 1 / RATE)[:, None]
    rise, fall = (hz - edges[:-2]) / np.diff(edges)[:-1], (edges[2:] - hz) / np.diff(edges)[1:]
    return np.maximum(0.0, np.minimum(rise, fall))


def log_mel(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """(N,) int16 at 16 kHz -> (N // 160, 40) natural log power of full scale 1; column k is around (k + 0.5) / 100 s.

    Windows of 25 ms (Hann), silence beyond both ends.
    """
    n = len(audio) // HOP
    signal = np.pad(audio.astype(np.float64) / 32768.0, ((_WINDOW - HOP) // 2, _WINDOW))
    frames = np.lib.stride_tricks.sliding_window_view(signal, _WINDOW)[: n * HOP : HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW), _FFT)) ** 2
    return np.log(power @ filters() + _FLOOR).astype(np.float32)
