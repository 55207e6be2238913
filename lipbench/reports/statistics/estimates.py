"""What n paired clips say: confidence intervals of a mean, and two methods or runs on the same clips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from lipbench.reports.statistics.hypotheses import EXACT_CLIPS, holm, minimum_detectable, sign_flip, smallest_p

#: From so many clips on the bootstrap is shown beside the t interval; below it covers too little.
BCA_CLIPS = 20
RESAMPLES = 9999
#: What an infinite value (PSNR of equal videos) counts as in a difference with a finite one, dB.
INFINITE = 100.0


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
    center = x.mean()
    share = ((means < center).mean() + (means <= center).mean()) / 2
    bias = ndtri(np.clip(share, 1e-9, 1 - 1e-9))
    # Jackknife of a mean: leaving x_i out moves it by (center - x_i) / (n - 1); constants cancel in the ratio.
    d = x - center
    acceleration = (d**3).sum() / (6 * (d**2).sum() ** 1.5)
    z = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    return [float(p) for p in ndtr(bias + z / (1 - acceleration * z))]


@dataclass(frozen=True)
class PairedEstimate:
    """What n paired differences say.

    Attributes:
        n: clips.
        mean: of the differences.
        sd: of the differences; None for one clip.
        interval: t interval of the mean, None for one clip.
        bca: bootstrap interval, from 20 clips on.
        p: of the sign-flip test, two-sided; None without clips.
        p_floor: the smallest p that so many clips can give.
        detectable: smallest true difference found with a chance of 80 % at alpha 5 %.
        remarks: what to know, one line each.
    """

    n: int
    mean: float | None
    sd: float | None = None
    interval: Interval | None = None
    bca: Interval | None = None
    p: float | None = None
    p_floor: float = 1.0
    detectable: float | None = None
    remarks: tuple[str, ...] = ()


def differences(
    a: Mapping[str, float | None], b: Mapping[str, float | None]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The clips that both have, in order, and b - a of each, (n,).

    An infinite value counts as INFINITE; two infinite ones differ by 0.
    """
    both = [
        (clip, u, v)
        for clip in sorted(a.keys() & b.keys())
        if (u := a[clip]) is not None and (v := b[clip]) is not None
    ]
    return tuple(clip for clip, _, _ in both), np.array([_capped(v) - _capped(u) for _, u, v in both], np.float64)


def _capped(value: float) -> float:
    return math.copysign(INFINITE, value) if math.isinf(value) else value


def worsening(difference: ArrayLike, better: str) -> NDArray[np.float64]:
    """b - a as "how much worse b is": positive is worse. For "zero" the values must be magnitudes already.

    Raises:
        ValueError: a metric without a direction.
    """
    if better not in ("higher", "lower", "zero"):
        raise ValueError(f"a metric whose better is {better!r} cannot get worse")
    d = np.asarray(difference, np.float64)
    return -d if better == "higher" else d


def paired(differences: ArrayLike, *, level: float = 0.95, seed: int = 0) -> PairedEstimate:
    """Everything about (n,) paired differences over clips."""
    d = np.asarray(differences, np.float64).ravel()
    n = len(d)
    if n == 0:
        return PairedEstimate(0, None, remarks=("no clip in common",))
    floor, remarks = smallest_p(n), []
    if floor > 1 - level:
        remarks.append(
            f"with {n} clip{'s' if n > 1 else ''} nothing can be significant at {100 * (1 - level):.0f} %: "
            f"the smallest p is {floor:.3g}"
        )
    if n > EXACT_CLIPS:
        remarks.append(f"p from random sign flips (seed {seed}): more than {EXACT_CLIPS} clips")
    x = finite(d)
    sd = None if x is None else float(x.std(ddof=1))
    return PairedEstimate(
        n,
        float(d.mean()),
        sd,
        mean_interval(d, level),
        bca_interval(d, level, seed=seed) if n >= BCA_CLIPS else None,
        sign_flip(d, seed=seed),
        floor,
        None if sd is None else minimum_detectable(sd, n),
        tuple(remarks),
    )


def not_worse_than_best(
    values: Mapping[str, Mapping[str, float | None]], better: str, *, alpha: float = 0.05
) -> frozenset[str]:
    """The best method and all that the paired sign-flip test, Holm-corrected, does not tell from it.

    Args:
        values: method -> clip -> value, as `clip_series` has them (magnitudes where zero is best).
        better: "higher", "lower" or "zero".

    Only methods with a value on every clip that any method has take part: means over other clips are other numbers.
    With 5 clips or fewer nothing is significant, so all that take part are returned.
    """
    clips = {clip for own in values.values() for clip in own}
    full = {m: own for m, own in values.items() if clips and all(own.get(clip) is not None for clip in clips)}
    if not full or better not in ("higher", "lower", "zero"):
        return frozenset()
    sign = -1.0 if better == "higher" else 1.0
    cost = {m: sign * float(np.mean([v for v in own.values() if v is not None])) for m, own in full.items()}
    best = min(cost, key=lambda m: (cost[m] if not math.isnan(cost[m]) else math.inf, m))
    others = [m for m in full if m != best]
    p = holm([sign_flip(differences(full[best], full[m])[1]) for m in others])
    return frozenset([best, *(m for m, value in zip(others, p, strict=True) if value > alpha)])
