"""What PC-AVS hears: 80 mel bands in [0, 1], a hundred times a second, and the 0.2 s of them around each video frame.

Constants of config/AudioConfig.py in github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS. Its spectrogram comes from the
package lws; the window and the padding here give the same magnitudes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import TooShort

RATE, N_FFT, HOP, BANDS = 16000, 1280, 160, 80
F_MIN, F_MAX = 125, 7600
LOUDNESS, QUIETEST = 0.1, 1e-4  # root mean square
REFERENCE_DB, FLOOR_DB = 20.0, -100.0
COLUMNS_PER_SECOND = RATE / HOP
STEPS = 20  # columns of one window
BEFORE = 8  # of them before the frame
_BLOCK = 4096


def melspectrogram(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """(N,) int16 at 16 kHz -> (80, 7 + ceil(N / 160)) in [0, 1]; column m ends with sample 160 m + 160.

    Raises:
        TooShort: no samples.
        ValueError: not one-dimensional.
    """
    from librosa.filters import mel

    if audio.ndim != 1:
        raise ValueError(f"mono samples expected, not an array of shape {audio.shape}")
    if not len(audio):
        raise TooShort("the audio has no samples", "there is nothing to hear", "use a longer dub")
    x = audio.astype(np.float64) / 32768
    x *= LOUDNESS / max(QUIETEST, float(np.sqrt(np.mean(x**2))))
    columns = (N_FFT - HOP) // HOP + -(-len(x) // HOP)
    padded = np.zeros((columns - 1) * HOP + N_FFT)
    padded[N_FFT - HOP : N_FFT - HOP + len(x)] = x
    slices = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]  # (M, 1280)
    window = 0.5 * np.sqrt(0.5 * (1 - np.cos(np.pi * (2 * np.arange(N_FFT) + 1) / N_FFT)))
    filters = mel(sr=RATE, n_fft=N_FFT, n_mels=BANDS, fmin=F_MIN, fmax=F_MAX)
    energy = np.empty((BANDS, columns))
    for start in range(0, columns, _BLOCK):
        energy[:, start : start + _BLOCK] = filters @ np.abs(np.fft.rfft(slices[start : start + _BLOCK] * window)).T
    decibel = 20 * np.log10(np.maximum(1e-5, energy)) - REFERENCE_DB
    return np.clip((decibel - FLOOR_DB) / -FLOOR_DB, 0, 1).astype(np.float32)


def windows(mel: NDArray[np.float32], fps: float, count: int) -> NDArray[np.float32]:
    """(80, M) -> (count, 80, 20): the audio of frames 0 .. count - 1; silence (0) before and after what there is.

    At 25 fps frame f hears columns 4 (f - 2) to 4 (f - 2) + 19, as upstream's frames from 2 on do; upstream has no
    frames 0, 1 and none of the last two.
    """
    starts = np.rint(np.arange(count) * COLUMNS_PER_SECOND / fps).astype(np.int64)  # in a spectrogram padded by BEFORE
    after = max(0, int(starts[-1]) + STEPS - BEFORE - mel.shape[1]) if count else 0
    padded = np.pad(mel, ((0, 0), (BEFORE, after)))
    return np.stack([padded[:, s : s + STEPS] for s in starts]) if count else np.empty((0, BANDS, STEPS), np.float32)
