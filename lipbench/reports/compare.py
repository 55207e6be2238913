"""Two runs (or two methods) on the same clips: what changed, how surely, which clips did it, what cannot be compared.

The vocabulary is that of airspeed velocity's `compare`: x not comparable, ! lost, * new, - worse, + better,
? beyond the tolerance and sure alone, but not among so many metrics; ~ beyond the tolerance, maybe by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from lipbench.core.errors import NothingComparable, UsageError
from lipbench.core.registry import unknown
from lipbench.reports.frame import Run, load_run
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import Headline, Snapshot
from lipbench.reports.gate.comparable import headline_difference
from lipbench.reports.gate.facts import snapshot
from lipbench.reports.statistics import (
    PairedEstimate,
    Spread,
    differences,
    holm,
    joint_p,
    paired,
    seed_spread,
    t_test,
    worsening,
)

ALPHA = 0.05


@dataclass(frozen=True)
class ClipDelta:
    """One clip: both values, b - a, and how much worse that is in tolerances of the metric."""

    clip: str
    a: float
    b: float
    delta: float
    worse: float


@dataclass(frozen=True)
class Delta:
    """One metric of one pair of methods.

    Attributes:
        methods: labels in A and in B.
        mark: one of "x!*-+?~ ".
        reason: why not comparable, or which clips only one side has.
        a: mean of the first run over the shared clips.
        b: mean of the second run over the shared clips.
        paired: statistics of b - a; None when not comparable.
        p_all: among all metrics of this pair of methods: the test that the gate uses, two-sided.
        clips: worst first.
        seeds: spread over seeds in A and B, beside the clips' statistics.
    """

    methods: tuple[str, str]
    line: Headline
    mark: str
    reason: str = ""
    a: float | None = None
    b: float | None = None
    paired: PairedEstimate | None = None
    p_all: float | None = None
    clips: tuple[ClipDelta, ...] = ()
    seeds: tuple[Spread | None, Spread | None] = (None, None)


@dataclass(frozen=True)
class Comparison:
    """Everything about A and B. `remarks`: lines for people."""

    names: tuple[str, str]
    sync_models: tuple[str, str]
    deltas: tuple[Delta, ...]
    remarks: tuple[str, ...]

    @property
    def worst(self) -> list[tuple[Delta, ClipDelta]]:
        """Clips that got worse, over all metrics, the most tolerances first."""
        hits = [(delta, clip) for delta in self.deltas for clip in delta.clips if clip.worse > 0]
        return sorted(hits, key=lambda hit: -hit[1].worse)


def compare(
    a: str | Path, b: str | Path, *, methods: Sequence[str] = (), metrics: Sequence[str] = (), everything: bool = False
) -> Comparison:
    """Compare two run directories; the same directory twice compares methods of one run.

    Args:
        methods: labels that both have, or "x=y" for x of A against y of B; all shared labels by default.
        metrics: ids or patterns; by default the headline metrics that one side has a number for.
        everything: all metrics.

    Raises:
        UnknownName: a method or metric that the runs do not have.
        NothingComparable: no method in common.
        UsageError, StoreError: as `load_run`.
    """
    runs = load_run(a), load_run(b)
    sides = snapshot(a, runs[0]), snapshot(b, runs[1])
    names = _names(runs, (Path(a), Path(b)))
    spreads = seed_spread(runs[0]), seed_spread(runs[1])
    chosen = _metrics(runs, metrics, everything)
    deltas: list[Delta] = []
    for pair in _pairs(runs, methods, names):
        own = [
            _delta(pair, sides, names, metric, spreads)
            for metric in chosen
            if any((label, metric) in side.headlines for label, side in zip(pair, sides, strict=True))
        ]
        if not metrics and not everything:
            own = [d for d in own if d.reason != NEITHER]
        deltas += _corrected(own)
    if not deltas:
        raise NothingComparable(
            f"{names[0]} and {names[1]} have nothing to compare",
            "no metric has a value on either side",
            "`lipbench table RUN` says why",
        )
    return Comparison(
        names, (runs[0].sync_model, runs[1].sync_model), tuple(deltas), tuple(_remarks(sides, deltas, names))
    )


NEITHER = "neither has a value"


def _names(runs: tuple[Run, Run], paths: tuple[Path, Path]) -> tuple[str, str]:
    if runs[0].name != runs[1].name:
        return runs[0].name, runs[1].name
    if paths[0].resolve() == paths[1].resolve():
        return "A", "B"
    return str(paths[0]), str(paths[1])


def _pairs(runs: tuple[Run, Run], wanted: Sequence[str], names: tuple[str, str]) -> list[tuple[str, str]]:
    if wanted:
        found = []
        for text in wanted:
            left, _, right = text.partition("=")
            pair = (left, right or left)
            for label, run in zip(pair, runs, strict=True):
                if label not in run.methods:
                    raise unknown("methods", label, list(run.methods))
            found.append(pair)
        return found
    shared = [label for label in runs[0].methods if label in runs[1].methods]
    if shared:
        return [(label, label) for label in shared]
    alone = [[label for label, m in run.methods.items() if m["kind"] != "control"] for run in runs]
    if all(len(labels) == 1 for labels in alone):
        return [(alone[0][0], alone[1][0])]
    raise NothingComparable(
        f"{names[0]} and {names[1]} have no method in common",
        f"A has {', '.join(runs[0].methods)}; B has {', '.join(runs[1].methods)}",
        "name a pair: --method LABEL_IN_A=LABEL_IN_B",
    )


def _metrics(runs: tuple[Run, Run], wanted: Sequence[str], everything: bool) -> list[str]:
    specs = {**runs[0].metrics, **runs[1].metrics}
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in specs):
            raise unknown("metrics", pattern, list(specs))
    ranked = [name for name, spec in specs.items() if spec["better"] != "none"]
    if wanted:
        found = [name for name in ranked if any(fnmatchcase(name, pattern) for pattern in wanted)]
        if not found:
            raise UsageError("these metrics have no better or worse", ", ".join(wanted), "`lipbench table` shows them")
        return found
    return [name for name in ranked if everything or specs[name].get("headline", True)]


def _delta(
    pair: tuple[str, str],
    sides: tuple[Snapshot, Snapshot],
    names: tuple[str, str],
    metric: str,
    spreads: tuple[Mapping[tuple[str, str], Spread], Mapping[tuple[str, str], Spread]],
) -> Delta:
    lines = [side.headlines.get((label, metric)) for label, side in zip(pair, sides, strict=True)]
    first, second = lines
    line = first or second
    assert line is not None
    if first is None or second is None:
        return Delta(pair, line, "x", f"{names[0] if first is None else names[1]} did not measure {metric}")
    reason = headline_difference(first, second, *sides, sides=names, machine=False)
    if reason:
        return Delta(pair, line, "x", reason)
    a, b = first.known, second.known
    clips, d = differences(a, b)
    alone = sorted(a.keys() ^ b.keys())
    if not clips:
        if not a and not b:
            return Delta(pair, line, "x", NEITHER)
        lost = "!" if a and not b else "*" if b and not a else "x"
        return Delta(pair, line, lost, "no clip has a value on both sides")
    note = f"left out, only one side has a value: {', '.join(alone[:4])}{', ...' if len(alone) > 4 else ''}"
    worse = worsening(d, line.better) / (line.tolerance or 1.0)
    each = [ClipDelta(c, a[c], b[c], float(x), float(w)) for c, x, w in zip(clips, d, worse, strict=True)]
    means = [float(np.mean([side[c] for c in clips])) for side in (a, b)]
    found = spreads[0].get((pair[0], metric)), spreads[1].get((pair[1], metric))
    return Delta(
        pair,
        line,
        "",
        note if alone else "",
        means[0],
        means[1],
        paired(d),
        None,
        tuple(sorted(each, key=lambda c: -c.worse)),
        found,
    )


def _corrected(deltas: list[Delta]) -> list[Delta]:
    """p-values over the metrics of one pair of methods, and the marks that follow."""
    tested = [d for d in deltas if d.paired is not None]
    rows = [{clip.clip: clip.delta for clip in d.clips} for d in tested]
    if rows and min(map(len, rows)) >= policy.ENOUGH_CLIPS:
        all_p = joint_p(rows)
    else:
        alone = [t_test(list(row.values())) for row in rows]
        all_p = holm([1.0 if p is None else p for p in alone])
    p = dict(zip(map(id, tested), all_p, strict=True))
    return [d if d.paired is None else replace(d, p_all=p[id(d)], mark=_mark(d, p[id(d)])) for d in deltas]


def _mark(delta: Delta, p: float) -> str:
    """What the test says, and never less than what the interval says."""
    assert delta.paired is not None
    worse = float(worsening([delta.paired.mean or 0.0], delta.line.better)[0])
    if worse == 0:
        return " "
    each = [clip.worse for clip in delta.clips]
    certain = min(each) > 0 or max(each) < 0
    if p <= ALPHA or (certain and abs(worse) > policy.DISASTER * delta.line.tolerance):
        return "-" if worse > 0 else "+"
    if abs(worse) <= delta.line.tolerance:
        return " "
    interval = delta.paired.interval
    alone = interval is not None and (interval.low > 0 or interval.high < 0)
    return "?" if alone else "~"


def _remarks(sides: tuple[Snapshot, Snapshot], deltas: Sequence[Delta], names: tuple[str, str]) -> list[str]:
    remarks = []
    few = min((len(d.clips) for d in deltas if d.paired is not None), default=policy.ENOUGH_CLIPS)
    if few < policy.ENOUGH_CLIPS:
        remarks.append(
            f"{few} clip{'s are' if few > 1 else ' is'} few: what every clip shows, by more than {policy.DISASTER} "
            f"tolerances, is called sure without a test; {policy.ENOUGH_CLIPS} clips let the exact test decide"
        )
    drawn = (r for d in deltas if d.paired is not None for r in d.paired.remarks if "random" in r)
    remarks += dict.fromkeys(drawn)
    gpus = [" + ".join(side.hardware.get("gpus") or []) or "no GPU" for side in sides]
    if gpus[0] != gpus[1]:
        remarks.append(f"other machines: {gpus[0]} in {names[0]}, {gpus[1]} in {names[1]}")
    return remarks
