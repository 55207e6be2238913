"""Tests over clips: p-values of paired differences, their correction for several metrics, and power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import nctdtr, stdtr, stdtrit

#: Up to so many clips every sign pattern is counted; beyond, RANDOM_FLIPS of them are drawn.
EXACT_CLIPS = 40
RANDOM_FLIPS = 99_999

Alternative = Literal["two-sided", "greater"]


def sign_flip(differences: ArrayLike, alternative: Alternative = "two-sided", *, seed: int = 0) -> float:
    """p-value of the sign-flip (Fisher's randomization) test that the mean of (n,) paired differences is 0.

    Under the null hypothesis each difference could as well have had the other sign: p is the share of the 2^n patterns
    whose sum is at least as extreme. Exact up to EXACT_CLIPS clips (two halves, one sorted, searched for the other);
    ties within rounding count as extreme, so p is never too small. Beyond that (1 + hits) / (1 + RANDOM_FLIPS).

    Raises:
        ValueError: no difference, or one that is not finite.
    """
    d = np.asarray(differences, np.float64).ravel()
    if not len(d) or not np.isfinite(d).all():
        raise ValueError("sign_flip needs finite differences")
    total = d.sum() if alternative == "greater" else abs(d.sum())
    bar = total - 1e-12 * np.abs(d).sum()
    if len(d) <= EXACT_CLIPS:
        tail = _exact_tail(d, bar)
    else:
        rng = np.random.default_rng(seed)
        hits = sum(int((_signs(rng, 999, len(d)) @ d >= bar).sum()) for _ in range(RANDOM_FLIPS // 999))
        tail = (1 + hits) / (1 + RANDOM_FLIPS // 999 * 999)
    return float(tail if alternative == "greater" else min(1.0, 2 * tail))


def _signs(rng: np.random.Generator, rows: int, n: int) -> NDArray[np.float64]:
    return 2 * rng.integers(0, 2, (rows, n)).astype(np.float64) - 1


def _exact_tail(d: NDArray[np.float64], bar: float) -> float:
    """Share of the 2^n sign patterns whose sum is at least `bar`."""
    left, right = _all_sums(d[: len(d) // 2]), np.sort(_all_sums(d[len(d) // 2 :]))
    # Sorted queries keep the search in the cache.
    reach = len(right) - np.searchsorted(right, bar - np.sort(left), side="left")
    return float(reach.sum(dtype=np.float64) / 2.0 ** len(d))


def _all_sums(d: NDArray[np.float64]) -> NDArray[np.float64]:
    sums = np.zeros(1)
    for value in d:
        sums = np.concatenate([sums - value, sums + value])
    return sums


def smallest_p(n: int, alternative: Alternative = "two-sided") -> float:
    """The smallest p-value that the sign-flip test can give with n clips: 0.0625 at 5, 0.031 at 6 (two-sided)."""
    return min(1.0, (2 if alternative == "two-sided" else 1) * 2.0**-n)


def t_test(differences: ArrayLike, alternative: Alternative = "two-sided") -> float | None:
    """p-value of the paired t test that the mean of (n,) differences is 0; None for one clip or a value not finite.

    Differences without any spread give 0 when they are not 0 and 1 when they are.
    """
    d = np.asarray(differences, np.float64).ravel()
    if len(d) < 2 or not np.isfinite(d).all():
        return None
    mean, error = float(d.mean()), float(d.std(ddof=1) / np.sqrt(len(d)))
    if error == 0:
        hit = mean > 0 if alternative == "greater" else mean != 0
        return 0.0 if hit else 1.0
    t = mean / error
    if alternative == "greater":
        return float(stdtr(len(d) - 1, -t))
    return float(min(1.0, 2 * stdtr(len(d) - 1, -abs(t))))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979), in the given order.

    Whatever the dependence between them, the chance of any false rejection at `corrected <= alpha` is at most alpha.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = highest
    return corrected


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
