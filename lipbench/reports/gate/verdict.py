"""A run against a baseline: one verdict per headline, in a fixed order."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import Headline, Snapshot
from lipbench.reports.gate.comparable import absent, difference, headline_difference, not_measured, whole_clips
from lipbench.reports.gate.result import ORDER, GateResult, Verdict
from lipbench.reports.gate.rules import settle
from lipbench.reports.statistics import differences, t_test, worsening


def decide(
    base: Snapshot, run: Snapshot, changed: Mapping[str, str] | None = None, *, allow_suspect: bool = False
) -> GateResult:
    """Compare a run with a baseline.

    Args:
        allow_suspect: let pass what is beyond its tolerance and may be chance.
        changed: metric id -> how its code differs from the golden values; such headlines are not comparable.
    """
    verdicts = [_first(line, run.headlines.get(line.key), base, run, changed or {}) for line in base.headlines.values()]
    verdicts = settle(verdicts)
    verdicts.sort(key=lambda v: (ORDER.index(v.verdict), -_size(v), v.line.key))
    stop = ""
    if any(policy.is_sync(line.metric) and line.known for line in base.headlines.values()):
        stop = difference(base.sync_model, run.sync_model, "the sync model")
    return GateResult(run.run, base, tuple(verdicts), stop, tuple(_remarks(base, run, verdicts)), allow_suspect)


def _size(verdict: Verdict) -> float:
    """Worsening in tolerances, to put the worst first."""
    if verdict.worsening is None:
        return 0.0
    return verdict.worsening / (verdict.line.tolerance or 1e-9)


def _first(line: Headline, now: Headline | None, base: Snapshot, run: Snapshot, changed: Mapping[str, str]) -> Verdict:
    """The verdicts that need no statistics; the others come back as "same" with their numbers, for `_settle`."""
    if line.metric in changed:
        return Verdict(line, "incomparable", f"the metric's code has changed: {changed[line.metric]}")
    if now is None:
        return Verdict(line, "incomplete", absent(line, run))
    if reason := headline_difference(line, now, base, run):
        return Verdict(line, "incomparable", reason)
    if reason := not_measured(line, now):
        return Verdict(line, "incomplete", reason)
    had, has = line.known, whole_clips(line, now)
    if had and not now.known:
        return Verdict(line, "broken", f"no value any more: {_why(now)}", len(had), float(np.mean([*had.values()])))
    if not had and has:
        return Verdict(line, "fixed", "the baseline had no value", len(has), None, float(np.mean([*has.values()])))
    if not had:
        return Verdict(line, "incomparable", f"neither has a value: {_why(now)}")
    clips, d = differences(had, has)
    verdict = _measured(line, had, has, clips, d) if clips else None
    if lost := sorted(had.keys() - has.keys()):
        reasons = {now.clips[c].reason or f"{c} lacks dubs" for c in lost if c in now.clips}
        why = f": {sorted(reasons)[0]}" if reasons else " from the run"
        text = f"{len(lost)} of {len(had)} clips missing ({', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}){why}"
        return replace(verdict or Verdict(line, ""), verdict="incomplete", reason=text, p=None)
    assert verdict is not None  # had and has share all clips of had
    return verdict


def _why(now: Headline) -> str:
    reasons = [v.reason for v in now.clips.values() if v.reason]
    return max(set(reasons), key=lambda r: (reasons.count(r), r)) if reasons else "no reason given"


def _measured(
    line: Headline, had: Mapping[str, float], has: Mapping[str, float], clips: tuple[str, ...], d: NDArray[np.float64]
) -> Verdict:
    """The numbers over the clips that both have; d (n,) is run minus baseline."""
    w = worsening(d, line.better)
    if line.relative:
        w = w / max(float(np.median([had[c] for c in clips])), 1e-9)
    n, mean = len(w), float(w.mean())
    low = None
    if n > 1:
        low = mean - float(stdtrit(n - 1, 1 - policy.ALPHA) * w.std(ddof=1) / np.sqrt(n))
    ranked = dict(sorted(zip(clips, map(float, w), strict=True), key=lambda item: -item[1]))
    before, after = (float(np.mean([side[c] for c in clips])) for side in (had, has))
    p = t_test(w, "greater")
    return Verdict(line, "same", "", n, before, after, mean, low, 1.0 if p is None else p, None, None, ranked)


def _remarks(base: Snapshot, run: Snapshot, verdicts: Collection[Verdict]) -> list[str]:
    remarks = []
    few = [v.n for v in verdicts if v.n and v.n < policy.ENOUGH_CLIPS]
    if few and min(few) == 1:
        remarks.append(
            f"1 clip: the gate closes on a worsening beyond {policy.DISASTER} tolerances only; "
            f"give it {policy.ENOUGH_CLIPS} clips or more"
        )
    elif few:
        remarks.append(
            f"{min(few)} clips are few: below {policy.ENOUGH_CLIPS} the gate alarms more often and sees less"
        )
    sync = [v for v in verdicts if policy.is_sync(v.line.metric)]
    if sync and all(v.verdict == "noisy" for v in sync):
        remarks.append("no sync headline can tell anything on this footage: the gate looked at images only")
    for line in base.headlines.values():
        now = run.headlines.get(line.key)
        if now is not None and now.seeds != line.seeds and not line.relative:
            remarks.append(f"other seeds: {_list(line.seeds)} in the baseline, {_list(now.seeds)} in the run")
            break
    known = {clip for line in base.headlines.values() for clip in line.clips}
    new = sorted({clip for key in base.headlines if key in run.headlines for clip in run.headlines[key].clips} - known)
    if new:
        remarks.append(f"clips that the baseline does not have, left out: {', '.join(new[:6])}")
    return remarks


def _list(seeds: Collection[Any]) -> str:
    return ", ".join(map(str, seeds))
