"""How loud sound is, and when it is none at all."""

from __future__ import annotations

import math

import numpy as np

#: A sound whose loudest sample lies below this is silence: the noise of converters, no signal.
SILENT_DBFS = -60.0


def peak_dbfs(samples: np.ndarray) -> float:
    """Level of the loudest of (N,) int16 samples against full scale, dB; -inf for zeros and for no samples."""
    peak = int(np.abs(samples.astype(np.int32)).max(initial=0))
    return 20 * math.log10(peak / 32768) if peak else -math.inf


def silence(samples: np.ndarray) -> str | None:
    """Why (N,) int16 samples are no sound to measure or dub by, in words; None when they are one."""
    level = peak_dbfs(samples)
    if level >= SILENT_DBFS:
        return None
    return f"the sound holds no signal: its peak is {level:.0f} dBFS, {SILENT_DBFS:.0f} at least is needed"
