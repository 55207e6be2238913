"""How small an effect a benchmark of n clips can see, and how many clips an effect needs."""

from __future__ import annotations

import numpy as np
from scipy.special import nctdtr, stdtrit


def power(effect: float, sd: float, n: int, *, alpha: float = 0.05, sides: int = 2) -> float:
    """Chance that the paired t test of n clips finds a true mean difference `effect`, given the differences' sd.

    From the noncentral t distribution; the tail on the wrong side is left out.
    """
    if n < 2:
        return 0.0
    if sd == 0:
        return 1.0 if effect > 0 else 0.0
    bar = stdtrit(n - 1, 1 - alpha / sides)
    return float(1 - nctdtr(n - 1, effect * np.sqrt(n) / sd, bar))


def minimum_detectable(sd: float, n: int, *, alpha: float = 0.05, chance: float = 0.8, sides: int = 2) -> float | None:
    """The smallest true mean difference that n clips find with that chance; None for fewer than two clips.

    Args:
        sd: standard deviation of the paired differences over clips.
    """
    if n < 2:
        return None
    if sd == 0:
        return 0.0
    low, high = 0.0, 1.0
    while power(high, 1.0, n, alpha=alpha, sides=sides) < chance:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        if power(middle, 1.0, n, alpha=alpha, sides=sides) < chance:
            low = middle
        else:
            high = middle
    return sd * high


def clips_needed(
    effect: float, sd: float, *, alpha: float = 0.05, chance: float = 0.8, sides: int = 2, most: int = 100_000
) -> int | None:
    """The smallest number of clips that finds a mean difference `effect` with that chance; None above `most`."""
    if effect <= 0:
        return None
    low, high = 1, 2
    while power(effect, sd, high, alpha=alpha, sides=sides) < chance:
        low, high = high, 2 * high
        if low >= most:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if power(effect, sd, middle, alpha=alpha, sides=sides) < chance:
            low = middle
        else:
            high = middle
    return high
