"""Making a run the baseline: which headlines, with which tolerances, and why."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from lipbench.core.errors import NothingComparable, RunIncomplete, UsageError
from lipbench.core.registry import unknown
from lipbench.reports.frame import Run, load_run
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import HISTORY, Headline, Snapshot, commit_of, read, write
from lipbench.reports.gate.facts import snapshot

#: Outcomes of a cell that another run may change: no baseline is made of them.
UNFINISHED = ("pending", "skipped", "blocked", "failed", "error", "crashed", "oom", "timeout")


def accept(
    run_dir: str | Path,
    path: Path,
    reason: str,
    *,
    methods: Sequence[str] = (),
    metrics: Sequence[str] = (),
    tolerances: Mapping[str, float] | None = None,
    allow: Collection[str] = (),
) -> tuple[Snapshot, list[str]]:
    """Write the baseline of a run.

    Args:
        reason: why its numbers are right; kept in the file.
        methods: ids or patterns; by default all that are no controls.
        metrics: ids or patterns; by default those of the file that is replaced, else those of `policy`.
        allow: what would be refused otherwise: "no-sync" (no headline looks at lips), "few-clips" (below ENOUGH_CLIPS).
        tolerances: metric id -> worsening that passes; others keep that of the file that is replaced.

    Returns:
        The baseline, and remarks: headlines that the run has no number for are left out.

    Raises:
        UsageError: no reason, a tolerance for a metric that is no headline, no sync headline, or too few clips.
        UnknownName: a method or metric that the run does not have.
        RunIncomplete: the run is not finished.
        NothingComparable: no headline has a number.
    """
    if not reason.strip():
        raise UsageError(
            "a baseline needs a reason", "it is what a reviewer reads", 'give --reason "what changed and why"'
        )
    run = load_run(run_dir)
    now = snapshot(run_dir, run)
    old = read(path) if path.exists() else None
    chosen = _chosen(now, old, _methods(run, methods), metrics)
    _refuse_unfinished(run, {line.method for line in chosen})
    lost: dict[str, list[str]] = {}
    kept: dict[tuple[str, str], Headline] = {}
    for line in chosen:
        if not line.known and not metrics:
            why = next((v.reason for v in line.clips.values() if v.reason), "no clip has a value")
            lost.setdefault(why, []).append(f"{line.method} {line.metric}")
            continue
        before = old.headlines.get(line.key) if old else None
        own = (tolerances or {}).get(line.metric)
        kept[line.key] = replace(line, tolerance=own if own is not None else (before or line).tolerance)
    remarks = [f"left out: {', '.join(names)}: {why}" for why, names in lost.items()]
    if not any(line.known for line in kept.values()):
        raise NothingComparable(
            f"{now.run} makes no baseline",
            remarks[0] if remarks else "no headline has a value",
            "get what the metrics need (`lipbench list metrics`) or choose others with --metric",
        )
    for name in tolerances or {}:
        if not any(line.metric == name for line in kept.values()):
            raise unknown("metrics", name, sorted({line.metric for line in kept.values()}))
    _refuse_blind(now.run, kept.values(), remarks, allow)
    history = (*(old.history if old else ()), *([_past(old)] if old else ()))[-HISTORY:]
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    made = replace(now, headlines=kept, created=created, commit=commit_of(path), reason=reason.strip(), history=history)
    write(path, made)
    return made, remarks


def _refuse_blind(run: str, lines: Collection[Headline], remarks: Sequence[str], allow: Collection[str]) -> None:
    """A gate that looks at no lips, or at so few clips that it sees disasters only, has to be asked for."""
    known = [line for line in lines if line.known and line.metric not in policy.COSTS]
    if not any(line.metric.startswith(policy.LIPS) for line in known) and "no-sync" not in allow:
        lost = next((remark for remark in remarks if "lse_d" in remark or "av_offset" in remark), "")
        raise UsageError(
            f"{run} makes no baseline for lips: no sync headline has a number",
            lost or f"headlines: {', '.join(sorted({line.metric for line in known})) or 'costs alone'}",
            "measure lse_d, av_offset (`lipbench list sync-models`) or sync_d, or say --allow no-sync",
        )
    n = min((len(line.known) for line in known), default=0)
    if known and n < policy.ENOUGH_CLIPS and "few-clips" not in allow:
        raise UsageError(
            f"{n} clip{'s' if n != 1 else ''} make no baseline",
            f"below {policy.ENOUGH_CLIPS} clips the gate alarms more often and sees less (docs/gate.md has the rates)",
            "add clips, or say --allow few-clips",
        )


def _past(old: Snapshot) -> dict[str, object]:
    return {"created": old.created, "reason": old.reason, "commit": old.commit, "run": old.run}


def _methods(run: Run, wanted: Sequence[str]) -> list[str]:
    """Labels that fit the patterns; without patterns all that are no controls (all, when there is nothing else)."""
    specs = run.methods
    for pattern in wanted:
        if not any(fnmatchcase(label, pattern) for label in specs):
            raise unknown("methods", pattern, list(specs))
    if wanted:
        return [label for label in specs if any(fnmatchcase(label, pattern) for pattern in wanted)]
    return [label for label, spec in specs.items() if spec["kind"] != "control"] or list(specs)


def _chosen(now: Snapshot, old: Snapshot | None, methods: list[str], metrics: Sequence[str]) -> list[Headline]:
    known = list(dict.fromkeys(metric for _, metric in now.headlines))
    for pattern in metrics:
        if not any(fnmatchcase(metric, pattern) for metric in known):
            raise unknown("metrics", pattern, known)
    if metrics or old is not None:
        patterns = metrics or tuple(dict.fromkeys(metric for _, metric in (old.headlines if old else ())))
        return [now.headlines[m, n] for m in methods for n in _fitting(known, patterns) if (m, n) in now.headlines]
    return [now.headlines[m, n] for m in methods for n in _fitting(known, _defaults(now, m)) if (m, n) in now.headlines]


def _fitting(known: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [metric for metric in known if any(fnmatchcase(metric, pattern) for pattern in patterns)]


def _defaults(now: Snapshot, method: str) -> Sequence[str]:
    """Against correct videos where there are any; else the mouth against the undubbed one.

    The distance without a shift is taken at the source's own offset where that is known of every clip.
    """

    def clips(metric: str) -> set[str]:
        line = now.headlines.get((method, metric))
        return set() if line is None else set(line.known)

    chosen = policy.HEADLINES_TRUTH if clips("psnr_mouth_truth") else policy.HEADLINES
    at_zero, at_own = clips(policy.AT_ZERO), clips(policy.AT_OWN[0])
    if not at_zero <= at_own or not at_own | clips(policy.AT_OWN[1]):
        return chosen
    return [name for one in chosen for name in (policy.AT_OWN if one == policy.AT_ZERO else (one,))]


def _refuse_unfinished(run: Run, methods: set[str]) -> None:
    frame = run.frame
    open_cells = frame[frame["method"].isin(methods) & frame["status"].isin(UNFINISHED)]
    if not open_cells.empty:
        first = open_cells.iloc[0]
        raise RunIncomplete(
            f"no baseline is made of an unfinished run: {first['method']} {first['clip']} {first['language']} is "
            f"{first['status']}",
            str(first["reason"] or ""),
            "finish the run with the same `lipbench run` command",
        )
