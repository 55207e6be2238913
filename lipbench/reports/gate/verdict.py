"""The rule: one verdict per headline, in a fixed order, and one exit code for all.

Worse means two things at once: the mean over clips worsened by more than the tolerance, and the one-sided 95 % lower
bound of the paired worsening is above 0, corrected (Holm) for the number of headlines. The first alone is red by
chance, the second alone is red for nothing that matters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lipbench.core.errors import LipbenchError, NothingComparable, Regression, RunIncomplete
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import Headline, Snapshot
from lipbench.reports.gate.comparable import absent, difference, headline_difference, not_measured, whole_clips
from lipbench.reports.statistics import clips_needed, differences, holm, t_test, worsening

#: Worst first.
ORDER = ("broken", "worse", "incomplete", "incomparable", "suspect", "fixed", "better", "same")
FAILS = ("broken", "worse")
WORDS = {0: "fine", 1: "regression", 3: "incomplete", 4: "nothing comparable"}


@dataclass(frozen=True)
class Verdict:
    """What became of one headline.

    Attributes:
        verdict: of ORDER.
        reason: one line, for all but better and same.
        n: clips that both have.
        baseline: the baseline's mean over those clips.
        run: the run's mean over those clips.
        worsening: mean over those clips, positive is worse; a share for costs.
        low: one-sided 95 % lower bound of it.
        p: probability that it is chance.
        p_holm: the same, corrected for the number of headlines.
        clips_needed: clips that would settle a suspect headline (chance 80 %).
        clips: clip -> worsening, worst first.
    """

    line: Headline
    verdict: str
    reason: str = ""
    n: int = 0
    baseline: float | None = None
    run: float | None = None
    worsening: float | None = None
    low: float | None = None
    p: float | None = None
    p_holm: float | None = None
    clips_needed: int | None = None
    clips: Mapping[str, float] | None = None


@dataclass(frozen=True)
class GateResult:
    """The gate's answer.

    Attributes:
        verdicts: worst first.
        stop: "" or why the whole run cannot be compared (another sync model).
        remarks: lines for people.
    """

    run: str
    baseline: Snapshot
    verdicts: tuple[Verdict, ...]
    stop: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 fine, 1 regression, 3 incomplete, 4 nothing comparable."""
        seen = {v.verdict for v in self.verdicts}
        if seen & set(FAILS):
            return 1
        if "incomplete" in seen:
            return 3
        return 4 if self.stop or seen <= {"incomparable"} else 0

    @property
    def word(self) -> str:
        return WORDS[self.exit_code]

    def error(self, accept: str = policy.ACCEPT) -> LipbenchError | None:
        """The error that ends a failed command; None when the gate is open. `accept` makes the run the baseline."""
        code = self.exit_code
        if code == 0:
            return None
        chosen = {1: FAILS, 3: ("incomplete",), 4: ("incomparable",)}[code]
        hits = [v for v in self.verdicts if v.verdict in chosen]
        first = f"{hits[0].line.method} {hits[0].line.title}: {hits[0].reason}" if hits else "the baseline is empty"
        more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
        meant = f"if it is meant to be so: `{accept}`"
        if code == 1:
            return Regression(f"the gate is closed: {first}{more}", "", meant)
        if code == 3:
            fix = "finish the run: the same `lipbench run` command goes on where it stopped"
            return RunIncomplete(f"the run is not complete: {first}{more}", "", fix)
        return NothingComparable(f"nothing can be compared: {self.stop or first + more}", "", meant)


def decide(base: Snapshot, run: Snapshot, changed: Mapping[str, str] | None = None) -> GateResult:
    """Compare a run with a baseline.

    Args:
        changed: metric id -> how its code differs from the golden values; such headlines are not comparable.
    """
    verdicts = [_first(line, run.headlines.get(line.key), base, run, changed or {}) for line in base.headlines.values()]
    verdicts = _settle(verdicts)
    verdicts.sort(key=lambda v: (ORDER.index(v.verdict), -_size(v), v.line.key))
    stop = ""
    if any(policy.is_sync(line.metric) and line.known for line in base.headlines.values()):
        stop = difference(base.sync_model, run.sync_model, "the sync model")
    return GateResult(run.run, base, tuple(verdicts), stop, tuple(_remarks(base, run, verdicts)))


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


def _settle(verdicts: list[Verdict]) -> list[Verdict]:
    """Worse, suspect, better or same, with p-values corrected for the number of headlines that were tested."""
    tested = [i for i, v in enumerate(verdicts) if v.verdict == "same"]
    worse = holm([float(verdicts[i].p or 0.0) for i in tested])
    gains = [t_test([-w for w in (verdicts[i].clips or {}).values()], "greater") for i in tested]
    better = holm([1.0 if p is None else p for p in gains])
    out = list(verdicts)
    for i, p_worse, p_better in zip(tested, worse, better, strict=True):
        out[i] = _decided(verdicts[i], p_worse, p_better, len(tested))
    return out


def _decided(v: Verdict, p_worse: float, p_better: float, family: int) -> Verdict:
    v = replace(v, p_holm=p_worse)
    mean, bar = v.worsening or 0.0, v.line.tolerance * (1 + 1e-9) + 1e-12
    if mean > bar:
        by = f"worse by {shown(v.line, mean)}, {shown(v.line, v.line.tolerance)} is tolerated"
        if p_worse < policy.ALPHA:
            return replace(v, verdict="worse", reason=f"{by}; {_worst(v)}")
        sd = float(np.std([*(v.clips or {}).values()], ddof=1)) if v.n > 1 else None
        need = None if sd is None else clips_needed(mean, sd, alpha=policy.ALPHA / family, sides=1)
        settle = f"about {need} clips would settle it" if need and need > v.n else "more clips would settle it"
        if v.n == 1:
            settle = "with 1 clip no test can tell, so the gate can never close on it"
        return replace(v, verdict="suspect", reason=f"{by}, but that may be chance; {settle}", clips_needed=need)
    if mean < -bar and p_better < policy.ALPHA:
        return replace(v, verdict="better")
    return v


def _worst(v: Verdict) -> str:
    clip, w = next(iter((v.clips or {}).items()))
    return f"worst clip {clip} by {shown(v.line, w)}"


def shown(line: Headline, value: float) -> str:
    """A worsening or tolerance with its unit."""
    if line.relative:
        return f"{100 * value:.0f} %"
    return f"{value:.{max(line.decimals, 1)}f}{' ' + line.unit if line.unit else ''}"


def _remarks(base: Snapshot, run: Snapshot, verdicts: Collection[Verdict]) -> list[str]:
    remarks = []
    few = [v.n for v in verdicts if v.n and v.n < policy.ENOUGH_CLIPS]
    if few and min(few) == 1:
        remarks.append(f"1 clip: the gate can never close on a worsening; give it {policy.ENOUGH_CLIPS} clips or more")
    elif few:
        remarks.append(
            f"{min(few)} clips are few: below {policy.ENOUGH_CLIPS} the gate alarms more often and sees less"
        )
    tested = [v for v in verdicts if v.p is not None]
    if len(tested) > policy.MANY_HEADLINES:
        remarks.append(
            f"{len(tested)} headlines: the correction for their number hides small regressions, "
            f"{policy.MANY_HEADLINES} are enough (--metric and --method when accepting)"
        )
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
