"""What Speech2Vid hears: twelve MFCC every 10 ms, 35 columns around every video frame.

Two kinds of MFCC, because the weights decide: "htk" is what the published network was trained on (the MATLAB toolbox of
K. Wojcicki: 25 ms Hamming window, 10 ms step, pre-emphasis 0.97, magnitude spectrum of 512 points, 40 mel bands from
300 to 3700 Hz, lifter 22), "psf" is the sync model's (`metrics.sync.folded`), which the demo network was trained on. In
both the first coefficient, the loudness, is left out.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.speech2vid.networks import COEFFICIENTS, COLUMNS
from lipbench.metrics.sync.folded import mfcc

Kind = Literal["htk", "psf"]

RATE, LENGTH, STEP, N_FFT = 16000, 400, 160, 512
BANDS, LOW_HZ, HIGH_HZ, LIFTER, PREEMPHASIS = 40, 300.0, 3700.0, 22, 0.97
COLUMNS_PER_SECOND = RATE / STEP
#: Columns from the start of a window to its middle: 35 columns of 25 ms every 10 ms are 365 ms.
MIDDLE = 17
#: Energies below count as this: the logarithm of digital silence is minus infinity in the original, NaN after the DCT.
FLOOR = 1e-8


def features(audio: NDArray[np.int16], kind: Kind) -> NDArray[np.float32]:
    """(N,) int16 at 16 kHz -> (12, 1 + (N - 400) // 160), or one column more with "psf", which pads the end.

    Audio shorter than one window of 25 ms is filled up with silence.
    """
    audio = np.pad(audio, (0, max(0, LENGTH - len(audio))))
    if kind == "psf":
        return mfcc(audio)[1:].astype(np.float32)
    return htk(audio)


def htk(audio: NDArray[np.int16]) -> NDArray[np.float32]:
    """The published network's features; see the module."""
    x = audio.astype(np.float64)
    x[1:] -= PREEMPHASIS * x[:-1].copy()
    frames = np.lib.stride_tricks.sliding_window_view(x, LENGTH)[::STEP]  # (T, 400)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(LENGTH) / (LENGTH - 1))
    magnitude = np.abs(np.fft.rfft(frames * hamming, N_FFT, axis=1))  # (T, 257)
    energy = np.log(np.maximum(magnitude @ filters().T, FLOOR))  # (T, 40)
    found: NDArray[np.float32] = (_cosines() @ energy.T).astype(np.float32)
    return found


@cache
def filters() -> NDArray[np.float64]:
    """(40, 257) triangles of height 1, evenly spaced in mel (1127 ln(1 + f / 700)) between 300 and 3700 Hz."""

    def mel(hz: float) -> float:
        return float(1127 * np.log(1 + hz / 700))

    corners = 700 * np.expm1(np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2) / 1127)
    f = np.linspace(0, RATE / 2, N_FFT // 2 + 1)
    left, center, right = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return np.clip(np.minimum((f - left) / (center - left), (right - f) / (right - center)), 0, None)


@cache
def _cosines() -> NDArray[np.float64]:
    """(12, 40) DCT-II with the lifter in it, coefficients 1 to 12."""
    n = np.arange(1, COEFFICIENTS + 1)[:, None]
    dct = np.sqrt(2 / BANDS) * np.cos(n * np.pi * (np.arange(1, BANDS + 1) - 0.5) / BANDS)
    return (1 + LIFTER / 2 * np.sin(np.pi * n / LIFTER)) * dct


def window_starts(n_frames: int, fps: float, offset_frames: float = 0.0) -> NDArray[np.int64]:
    """(n_frames,) first column of each frame's audio, window and frame centered on each other; may lie before 0.

    Args:
        offset_frames: video frames by which the audio heard is later. Upstream takes the window that starts with the
            frame, which is offset_frames=4 at 25 fps, and leaves it to the user to shift the video against the audio.
    """
    # Column c is centered at 10 c + 12.5 ms, frame k at (k + 1/2) / fps.
    middle = (np.arange(n_frames) + 0.5 + offset_frames) / fps * COLUMNS_PER_SECOND - 1.25
    return np.floor(middle + 0.5).astype(np.int64) - MIDDLE


def windows(sound: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """(12, C) features -> (n, 1, 12, 35); beyond the ends there is silence, whose twelve coefficients are 0."""
    before, after = max(0, -int(starts.min())), max(0, int(starts.max()) + COLUMNS - sound.shape[1])
    padded = np.pad(sound, ((0, 0), (before, after)))
    every = np.lib.stride_tricks.sliding_window_view(padded, COLUMNS, axis=1)  # (12, C', 35)
    return np.ascontiguousarray(every[:, starts + before].transpose(1, 0, 2)[:, None])
