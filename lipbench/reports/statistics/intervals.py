"""Confidence intervals of a mean over clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

#: From so many clips on the bootstrap is shown beside the t interval; below it covers too little.
BCA_CLIPS = 20
RESAMPLES = 9999


@dataclass(frozen=True)
class Interval:
    """An interval of a mean.

    Attributes:
        low: lower end, in the metric's unit.
        high: upper end.
        level: nominal coverage, 0.95.
        method: "t" or "BCa".
        n: clips.
    """

    low: float
    high: float
    level: float
    method: str
    n: int


def finite(values: ArrayLike) -> NDArray[np.float64] | None:
    """(n,) float64, or None when there are fewer than two values or one is not finite."""
    x = np.asarray(values, np.float64).ravel()
    return x if len(x) >= 2 and bool(np.isfinite(x).all()) else None


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval | None:
    """Student's t interval of the mean of (n,) clip values; None for one clip or a value that is not finite."""
    x = finite(values)
    if x is None:
        return None
    n = len(x)
    half = float(stdtrit(n - 1, 0.5 + level / 2) * x.std(ddof=1) / np.sqrt(n))
    mean = float(x.mean())
    return Interval(mean - half, mean + half, level, "t", n)


def bca_interval(
    values: ArrayLike, level: float = 0.95, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval | None:
    """Bias-corrected and accelerated bootstrap of the mean of (n,) clip values.

    Efron, "Better bootstrap confidence intervals", JASA 82, 1987; ties of the bootstrap with the mean count half, as in
    scipy.stats.bootstrap. The same seed gives the same interval. None for one clip or a value that is not finite;
    values that are all equal give an interval of no width.
    """
    x = finite(values)
    if x is None:
        return None
    n, mean = len(x), float(x.mean())
    if np.ptp(x) == 0:
        return Interval(mean, mean, level, "BCa", n)
    rng = np.random.default_rng(seed)
    means = x[rng.integers(0, n, (resamples, n))].mean(axis=1)
    low, high = np.quantile(means, bca_levels(means, x, level))
    return Interval(float(low), float(high), level, "BCa", n)


def bca_levels(means: NDArray[np.float64], x: NDArray[np.float64], level: float) -> Sequence[float]:
    """The two levels at which the bootstrapped means (resamples,) of x (n,) are read."""
    centre = x.mean()
    share = ((means < centre).mean() + (means <= centre).mean()) / 2
    bias = ndtri(np.clip(share, 1e-9, 1 - 1e-9))
    # Jackknife of a mean: leaving x_i out moves it by (centre - x_i) / (n - 1); constants cancel in the ratio.
    d = x - centre
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    return [float(p) for p in ndtr(bias + z / (1 - acceleration * z))]
