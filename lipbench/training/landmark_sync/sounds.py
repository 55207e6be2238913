"""Log-mels as other voices, rooms and recordings would have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.metrics.sync.landmark.sound import BANDS
from lipbench.training.landmark_sync.mouths import smooth

Array = NDArray[np.floating]


def heard(bands: Array, rng: np.random.Generator) -> Array:
    """(N, 40) log-mels -> those of another vocal tract, through another line, over another noise."""
    f = np.arange(BANDS)
    at = np.clip(f * rng.uniform(0.86, 1.16) + rng.normal(0, 0.6), 0, BANDS - 1)
    low = np.minimum(at.astype(int), BANDS - 2)
    part = at - low
    x = bands[:, low] * (1 - part) + bands[:, low + 1] * part
    x = x + smooth(rng, BANDS, float(rng.uniform(6, 30)))[:, 0] * rng.uniform(0, 2)
    floor = np.percentile(x, 95) - rng.uniform(1.5, 9)  # nat below the loudest
    color = smooth(rng, BANDS, 20)[:, 0] * 0.8 + rng.uniform(-2, 1) * (f / (BANDS - 1) - 0.5)
    level = smooth(rng, len(x), 60) * rng.uniform(0, 0.6)
    x = np.logaddexp(x, floor + color + level + rng.normal(0, 0.35, x.shape))
    if rng.uniform() < 0.3:
        first = int(rng.integers(BANDS - 6))
        x[:, first : first + int(rng.integers(2, 7))] = x.mean()
    return np.asarray(x)


def stretched(rows: Array, n: int, factor: float, per_frame: int) -> Array:
    """The first n * factor frames of rows as n frames, linear in time.

    Args:
        rows: (>= per_frame * n * factor, K), columns around (k + 0.5) / per_frame frames.
    """
    at = np.clip((np.arange(per_frame * n) + 0.5) * factor - 0.5, 0, len(rows) - 1.001)
    low = at.astype(int)
    part = (at - low)[:, None]
    return np.asarray(rows[low] * (1 - part) + rows[low + 1] * part)
