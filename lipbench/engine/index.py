"""What a run directory says about itself beside its records: run.json (the request) and cells.jsonl (the results).

Both are derived: they can be deleted and come back with the next run. Reports read only these two.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipbench.core import keys
from lipbench.core.atomic import write_json, write_text
from lipbench.core.metric import MetricFamily, MetricSpec
from lipbench.core.provenance import provenance
from lipbench.core.store import Store
from lipbench.datasets.types import Licence, Manifest
from lipbench.engine.config import RunFile
from lipbench.engine.plan import Cell, Pending, Plan, PlanState
from lipbench.engine.rows import MethodRow
from lipbench.engine.runner import NodeState, RunOutcome

SCHEMA = 1


def metric_json(spec: MetricSpec, version: str) -> dict[str, Any]:
    """A metric's spec as JSON, with the version of its numbers."""
    return {**asdict(spec), "version": version, "needs": sorted(spec.needs), "weights": list(spec.weights)}


def version_of(spec: MetricSpec, family: MetricFamily, options: Mapping[str, Any]) -> str:
    """A metric's version with the options that are not at their defaults: numbers of other options are others.

    The sync family's sync model and protocol are left out: runs and tables name them on their own.
    """
    if not options:
        return spec.version
    defaults = family.options.model_construct().model_dump(mode="json")
    named = ("sync_model", "protocol") if family.id == "sync" else ()
    changed = [f"{k}={v}" for k, v in options.items() if k not in named and defaults.get(k, ...) != v]
    return f"{spec.version} with {', '.join(changed)}" if changed else spec.version


def corpus_json(manifest: Manifest, cells: Sequence[Cell]) -> dict[str, Any]:
    """What a report says of the clips and dubs of a run: whose they are, what is said in them and when.

    {"name", "version", "licence", "clips": {id: {"licence", "consent", ...}}, "dubs": {id: {"kind", "transcript",
    "phonemes": [[start s, end s, IPA], ...] or None}}}; the media may be gone when the report is written.
    """
    clips, dubs = {cell.clip for cell in cells}, {cell.dub for cell in cells}
    declared = {d.id for d in manifest.dubs}
    own = {
        c.dub: {
            "clip": c.clip,
            "language": c.language,
            "kind": "original",
            "offset_s": 0.0,
            "transcript": None,
            "phonemes": None,
        }
        for c in cells
        if c.dub not in declared
    }
    return {
        "name": manifest.name,
        "version": manifest.version,
        "licence": _licence(manifest.licence),
        "clips": {
            c.id: {
                "licence": _licence(c.licence),
                "consent": c.consent,
                "speaker": c.speaker,
                "language": c.language,
                "source_url": c.source_url,
                "truth": sorted(c.truth),
            }
            for c in manifest.clips
            if c.id in clips
        },
        "dubs": own
        | {
            d.id: {
                "clip": d.clip_id,
                "language": d.language,
                "kind": d.kind,
                "offset_s": d.offset_s,
                "transcript": d.transcript,
                "phonemes": _phonemes(d.phonemes),
            }
            for d in manifest.dubs
            if d.id in dubs
        },
    }


def _licence(licence: Licence) -> dict[str, str]:
    return {"id": licence.id, "url": licence.url}


def _phonemes(path: Path | None) -> list[Any] | None:
    """Rows of (start s, end s, symbol); None where the file is of another form, for then they cannot be drawn."""
    if path is None:
        return None
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [[float(start), float(end), str(symbol)] for start, end, symbol in rows]
    except (OSError, ValueError, TypeError):
        return None


def write_run(
    root: Path,
    config: RunFile,
    manifest_digest: str,
    rows: Sequence[MethodRow],
    measured: Sequence[tuple[MetricFamily, Mapping[str, Any]]],
    cells: Sequence[Cell],
    manifest: Manifest | None = None,
) -> None:
    """run.json: the resolved request; with `manifest` also what reports say of its clips."""
    sync_model: dict[str, Any] = {"name": config.sync_model, "protocol": config.protocol}
    for family, options in measured:
        if family.id == "sync":  # the family's own params stand above the run file's shorthand
            sync_model = {
                name: options.get(key, sync_model[name])
                for name, key in (("name", "sync_model"), ("protocol", "protocol"))
            }
            sync_model["identity"] = dict(family.identity(options))
    write_json(
        root / "run.json",
        {
            "schema": SCHEMA,
            "name": config.name,
            "sync_model": sync_model["name"],
            "sync_model_details": sync_model,
            "protocol": sync_model["protocol"],
            "manifest": config.manifest,
            "manifest_digest": manifest_digest,
            "key_version": keys.KEY_VERSION,
            "request": config.model_dump(mode="json", by_alias=True),
            "metrics": [
                metric_json(m, version_of(m, family, options))
                for family, options in measured
                for m in family.metrics
                if config.asks(family.id, m.id)
            ],
            "metric_options": {family.id: dict(options) for family, options in measured if options},
            "methods": [
                {
                    "label": r.label,
                    "id": r.method.spec.id,
                    "version": r.method.spec.version,
                    "title": r.method.spec.title,
                    "kind": r.method.spec.kind,
                    "licence": r.method.spec.licence,
                    "paper": r.method.spec.paper,
                    "paper_results": dict(r.method.spec.paper_results),
                    "deviations": list(r.method.spec.deviations),
                }
                for r in rows
            ],
            "clips": sorted({c.clip for c in cells}),
            "provenance": provenance(),
            "corpus": None if manifest is None else corpus_json(manifest, cells),
        },
    )


def cell_json(cell: Cell, plan: Plan, progress: PlanState, store: Store, outcome: RunOutcome | None) -> dict[str, Any]:
    """One line of cells.jsonl."""
    made = plan.synthesize[cell]
    record = progress.find(made) if plan.nodes[made].refusal is None else None
    state = outcome.states.get(made) if outcome else None
    status, reason = _status(state, record)
    video = None
    if record is not None and record.status == "ok":
        video = str(store.output(record, "video").relative_to(store.root))
    metrics: dict[str, Any] = {}
    score_keys: dict[str, str | None] = {}
    for family, node in plan.scores[cell].items():
        score = progress.find(node) if status == "ok" else None
        score_keys[family] = None if score is None else score.key
        score_state = outcome.states.get(node) if outcome else None
        if score is not None and score.status == "ok":
            metrics.update(score.scores)
        else:
            why = _status(score_state, score)[1] if status == "ok" else reason
            metrics[f"family:{family}"] = {"value": None, "reason": why or "not measured yet"}
    return {
        "method": cell.method,
        "clip": cell.clip,
        "language": cell.language,
        "dub": cell.dub,
        "train_seconds": cell.train_seconds,
        "seed": cell.seed,
        "status": status,
        "reason": reason,
        "video": video,
        "metrics": metrics,
        "keys": {"dub": _key(progress, f"dub {cell.dub}"), "synthesize": _key(progress, made), "score": score_keys},
        "timing": {} if record is None else dict(record.timing),
    }


def _key(progress: PlanState, node: str) -> str | None:
    try:
        return progress.key(node)
    except Pending:
        return None


def _status(state: NodeState | None, record: Any) -> tuple[str, str | None]:
    if record is not None:
        return record.status, record.reason
    if state is None:
        return "pending", "not run yet"
    return ("refused" if state.how == "refused" else state.how), state.reason


def cells_json(
    plan: Plan,
    progress: PlanState,
    store: Store,
    outcome: RunOutcome | None,
    rows: Sequence[MethodRow],
    measured: Sequence[tuple[MetricFamily, Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """All lines of cells.jsonl, each with every requested metric's value or reason."""
    by_family = {family.id: [m.id for m in family.metrics] for family, _ in measured}
    specs = {row.label: row.method.spec for row in rows}
    lines = []
    for cell in plan.cells:
        data = cell_json(cell, plan, progress, store, outcome)
        data |= {"method_id": specs[cell.method].id, "kind": specs[cell.method].kind}
        for family, names in by_family.items():
            refusal = data["metrics"].pop(f"family:{family}", None)
            if refusal is not None:
                data["metrics"] |= {n: {**refusal, "n_valid": 0, "n_total": 0} for n in names}
        lines.append(data)
    return lines


def write_cells(root: Path, lines: Sequence[Mapping[str, Any]], keep: bool = False) -> None:
    """Write cells.jsonl.

    Args:
        keep: cells that another shard of the same run wrote stay in the file.
    """
    path = root / "cells.jsonl"
    if keep and path.exists():
        mine = {_identity(line) for line in lines}
        others = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
        lines = [*(o for o in others if _identity(o) not in mine), *lines]
    write_text(path, "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))


def _identity(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(line[k] for k in ("method", "clip", "dub", "train_seconds", "seed"))
