"""Two methods or runs on the same clips: differences and everything that is said about them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.reports.statistics.hypotheses import EXACT_CLIPS, sign_flip, smallest_p
from lipbench.reports.statistics.intervals import BCA_CLIPS, Interval, bca_interval, finite, mean_interval
from lipbench.reports.statistics.power import minimum_detectable

#: What an infinite value (PSNR of equal videos) counts as in a difference with a finite one, dB.
INFINITE = 100.0


@dataclass(frozen=True)
class Paired:
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


def paired(differences: ArrayLike, *, level: float = 0.95, seed: int = 0) -> Paired:
    """Everything about (n,) paired differences over clips."""
    d = np.asarray(differences, np.float64).ravel()
    n = len(d)
    if n == 0:
        return Paired(0, None, remarks=("no clip in common",))
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
    return Paired(
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
