"""Which methods a table may mark as best: those that are not significantly worse than the best one."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from lipbench.reports.statistics.hypotheses import holm, sign_flip
from lipbench.reports.statistics.pairs import differences


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
