"""The sound features of SyncNet: 13 MFCC every 10 ms, by `python_speech_features` with all of its defaults.

25 ms rectangular window, 10 ms step, nfft 512, 26 mel filters 0..8000 Hz, pre-emphasis 0.97, lifter 22, the first
coefficient replaced by the log energy. The package is used as it is, because the sync model was trained on it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.metrics.sync.constants import RATE

N_CEPS = 13


def mfcc(audio: NDArray[np.int16], rate: int = RATE) -> NDArray[np.float64]:
    """(13, C) features of (N,) int16 mono sound; C = 1 + ceil((N - 400) / 160), so 4 F - 1 for N = 640 F.

    The int16 scale matters: sound in [-1, 1] would shift the first coefficient by -20.794.

    Raises:
        UsageError: not mono int16 at 16 kHz, or empty.
    """
    check_sound(audio, rate)
    if len(audio) == 0:
        raise UsageError("there is no sound to analyse", "the signal has 0 samples", "hand in at least 25 ms")
    import python_speech_features

    features: NDArray[Any] = python_speech_features.mfcc(audio, rate)
    return np.ascontiguousarray(features.T)


def check_sound(audio: NDArray[Any], rate: int = RATE) -> None:
    """Refuse what would give other numbers without a word.

    Raises:
        UsageError: not mono int16 at 16 kHz.
    """
    if audio.dtype != np.int16 or audio.ndim != 1 or rate != RATE:
        raise UsageError(
            f"SyncNet needs (N,) int16 samples at {RATE} Hz, not {audio.dtype} {audio.shape} at {rate} Hz",
            "its features keep the int16 scale, so floats would shift them",
            "read the sound with lipbench.media.read_audio",
        )
