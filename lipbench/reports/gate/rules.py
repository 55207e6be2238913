"""When a headline is worse.

Worse means two things at once: the mean over clips worsened by more than the tolerance, and that is not chance: one
test for all headlines together. The first alone is red by chance, the second alone is red for nothing that matters.
Beside this stand two absolute rules, which need no test: a disaster closes the gate, on all clips or on one of many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lipbench.reports.gate import policy
from lipbench.reports.gate.result import Verdict, shown
from lipbench.reports.statistics import clips_needed, holm, joint_p, t_test


def settle(verdicts: list[Verdict]) -> list[Verdict]:
    """Worse, suspect, noisy, better or same: one test for all headlines that can be tested."""
    tested = [i for i, v in enumerate(verdicts) if v.verdict == "same"]
    rows = [verdicts[i].clips or {} for i in tested]
    worse = _together(rows)
    better = _together([{clip: -w for clip, w in row.items()} for row in rows])
    out = list(verdicts)
    for i, p_worse, p_better in zip(tested, worse, better, strict=True):
        out[i] = _decided(verdicts[i], p_worse, p_better, len(tested))
    return out


def _together(rows: Sequence[Mapping[str, float]]) -> list[float]:
    """One-sided p-values of mean worsenings, corrected for their number.

    Exact, without a law of the differences, from ENOUGH_CLIPS on; below, where sign flips hardly reach ALPHA (1 of 2^n
    at best), t tests with Holm's correction.
    """
    if rows and min(map(len, rows)) >= policy.ENOUGH_CLIPS:
        return joint_p(rows, "greater")
    alone = [t_test(list(row.values()), "greater") for row in rows]
    return holm([1.0 if p is None else p for p in alone])


def _decided(v: Verdict, p_worse: float, p_better: float, family: int) -> Verdict:
    v = replace(v, p_all=p_worse)
    mean, bar = v.worsening or 0.0, v.line.tolerance * (1 + 1e-9) + 1e-12
    by = f"worse by {shown(v.line, mean)}, {shown(v.line, v.line.tolerance)} is tolerated"
    if _disaster(v):
        every = "its one clip is" if v.n == 1 else f"all {v.n} clips are"
        return replace(v, verdict="worse", reason=f"{by}; {every} worse, by more than {policy.DISASTER} tolerances")
    if (clip := _broken_clip(v)) is not None:
        w = shown(v.line, (v.clips or {})[clip])
        return replace(v, verdict="worse", reason=f"clip {clip} is worse by {w}, far beyond all others")
    if mean > bar and p_worse < policy.ALPHA:
        return replace(v, verdict="worse", reason=f"{by}; {_worst(v)}")
    if _noisy(v):
        each = shown(v.line, float(np.median(np.abs([*(v.clips or {}).values()]))))
        text = f"clips differ by {each} (median), in both directions, with {shown(v.line, v.line.tolerance)} tolerated"
        return replace(v, verdict="noisy", reason=f"{text}: this headline can tell nothing on this footage")
    if mean > bar:
        sd = float(np.std([*(v.clips or {}).values()], ddof=1)) if v.n > 1 else None
        need = None if sd is None else clips_needed(mean, sd, alpha=policy.ALPHA / family, sides=1)
        settle = f"about {need} clips would settle it" if need and need > v.n else "more clips would settle it"
        if v.n == 1:
            settle = f"with 1 clip only {policy.DISASTER} tolerances close the gate"
        return replace(v, verdict="suspect", reason=f"{by}, but that may be chance; {settle}", clips_needed=need)
    if mean < -bar and p_better < policy.ALPHA:
        return replace(v, verdict="better")
    return v


def _disaster(v: Verdict) -> bool:
    """Every clip worse and the mean by many tolerances: with any number of clips that is no chance."""
    return min((v.clips or {"": 0.0}).values()) > 0 and (v.worsening or 0.0) > policy.DISASTER * v.line.tolerance


def _broken_clip(v: Verdict) -> str | None:
    """A clip that is far worse while the others are as they were; its mean would drown in its own spread."""
    ranked = v.clips or {}
    if len(ranked) < policy.LONE_CLIPS:
        return None
    clip, w = next(iter(ranked.items()))
    usual = float(np.median(np.abs([*ranked.values()])))
    return clip if w > policy.BROKEN_CLIP * max(v.line.tolerance, usual) else None


def _noisy(v: Verdict) -> bool:
    """Most clips differ by far more than is tolerated, many for the better and many for the worse."""
    w, tolerated = np.array([*(v.clips or {}).values()]), v.line.tolerance
    if len(w) < policy.LONE_CLIPS or np.median(np.abs(w)) <= policy.NOISY * tolerated:
        return False
    return bool(min((w > tolerated).mean(), (w < -tolerated).mean()) >= 0.25)


def _worst(v: Verdict) -> str:
    clip, w = next(iter((v.clips or {}).items()))
    return f"worst clip {clip} by {shown(v.line, w)}"
