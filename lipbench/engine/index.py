"""What a run directory says about itself beside its records: run.json (the request) and the lines of its cells.

Both are derived: they can be deleted and come back with the next run. Reports read only these; see
`lipbench.reports.cells`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lipbench.core import keys
from lipbench.core.atomic import write_json
from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricFamily, MetricSpec
from lipbench.core.provenance import provenance
from lipbench.core.store import Store
from lipbench.datasets.dub_sound import DubSound
from lipbench.datasets.phonemes import read_phonemes
from lipbench.datasets.types import Clip, Dub, Licence, Manifest
from lipbench.engine.config import RunFile
from lipbench.engine.outcome import NodeState, RunOutcome
from lipbench.engine.plan import Cell, Pending, Plan, PlanState
from lipbench.engine.rows import MethodRow
from lipbench.reports.cells import NOT_RUN, OPEN

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
                **({} if c.av_offset is None else {"av_offset": c.av_offset}),
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
                "phonemes": _phonemes(d, manifest.clip(d.clip_id)),
            }
            for d in manifest.dubs
            if d.id in dubs
        },
    }


def _licence(licence: Licence) -> dict[str, str]:
    return {"id": licence.id, "url": licence.url}


def _phonemes(dub: Dub, clip: Clip) -> list[Any] | None:
    """Rows of (start s, end s, symbol) on the clock of the dub's sound, which `offset_s` then delays.

    None where the file cannot be read, for then they cannot be drawn; `lipbench data check` says why.
    """
    if dub.phonemes is None:
        return None
    try:
        rows = read_phonemes(dub.phonemes)
        cut = DubSound.of(dub, clip) if dub.audio is not None else None
        lead, begin, _ = cut.span() if cut is not None and not cut.whole else (dub.offset_s, 0.0, None)
    except LipbenchError:
        return None
    moved = lead - dub.offset_s
    spans = [((a - begin) * dub.rate + moved, (b - begin) * dub.rate + moved, symbol) for a, b, symbol in rows]
    return [[start, end, symbol] for start, end, symbol in spans if end > moved]


def axes_json(cells: Sequence[Cell]) -> dict[str, Any]:
    """What the cells of a run are a product of, so that those without a line are known: see `reports.cells`."""
    dubs: dict[str, dict[tuple[str, str], None]] = {}
    for cell in cells:
        dubs.setdefault(cell.clip, {})[cell.dub, cell.language] = None
    return {
        "methods": list(dict.fromkeys(cell.method for cell in cells)),
        "dubs": {clip: [list(dub) for dub in own] for clip, own in dubs.items()},
        "train_seconds": list(dict.fromkeys(cell.train_seconds for cell in cells)),
        "seeds": list(dict.fromkeys(cell.seed for cell in cells)),
    }


def run_json(
    config: RunFile,
    manifest_digest: str,
    rows: Sequence[MethodRow],
    measured: Sequence[tuple[MetricFamily, Mapping[str, Any]]],
    cells: Sequence[Cell],
    manifest: Manifest | None = None,
    request: str = "",
) -> dict[str, Any]:
    """What run.json holds: the resolved request; with `manifest` also what reports say of its clips.

    Args:
        cells: of the whole run, those of other shards too.
        request: `Plan.request`.
    """
    sync_model: dict[str, Any] = {"name": config.sync_model, "protocol": config.protocol}
    for family, options in measured:
        if family.id == "sync":  # the family's own params stand above the run file's shorthand
            sync_model = {
                name: options.get(key, sync_model[name])
                for name, key in (("name", "sync_model"), ("protocol", "protocol"))
            }
            sync_model["identity"] = dict(family.identity(options))
    return {
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
            metric_json(family.named(m, options), version_of(m, family, options))
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
                "paper_results": _finite(r.method.spec.paper_results),
                "deviations": list(r.method.spec.deviations),
                "made_elsewhere": r.method.spec.made_elsewhere,
            }
            for r in rows
        ],
        "clips": sorted({c.clip for c in cells}),
        "axes": axes_json(cells),
        "request_digest": request,
        "provenance": provenance(),
        "corpus": None if manifest is None else corpus_json(manifest, cells),
    }


def write_run(root: Path, *request: Any, **more: Any) -> dict[str, Any]:
    """Write run.json; takes what `run_json` takes, and answers it."""
    about = run_json(*request, **more)
    write_json(root / "run.json", about)
    return about


def _finite(numbers: Mapping[str, float]) -> dict[str, float | str]:
    """Numbers for JSON, which has no infinity: "inf"."""
    return {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()}


def cell_json(cell: Cell, plan: Plan, progress: PlanState, store: Store, outcome: RunOutcome | None) -> dict[str, Any]:
    """One line of cells.jsonl."""
    made = plan.synthesize[cell]
    record = progress.find(made) if plan.nodes[made].refusal is None else None
    state = outcome.states.get(made) if outcome else None
    status, reason = _status(state, record)
    video = None
    if record is not None and record.status == "ok":
        video = store.relative(record, "video")
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
        "finished": status not in OPEN if outcome is None else _is_finished(cell, plan, outcome),
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
        return "pending", NOT_RUN
    return ("refused" if state.how == "refused" else state.how), state.reason


def line_maker(
    plan: Plan,
    progress: PlanState,
    store: Store,
    outcome: RunOutcome | None,
    rows: Sequence[MethodRow],
    measured: Sequence[tuple[MetricFamily, Mapping[str, Any]]],
) -> Callable[[Cell], dict[str, Any]]:
    """What makes a cell's line, with every requested metric's value or reason."""
    by_family = {family.id: [m.id for m in family.metrics] for family, _ in measured}
    specs = {row.label: row.method.spec for row in rows}

    def line(cell: Cell) -> dict[str, Any]:
        data = cell_json(cell, plan, progress, store, outcome)
        data |= {"method_id": specs[cell.method].id, "kind": specs[cell.method].kind}
        for family, names in by_family.items():
            refusal = data["metrics"].pop(f"family:{family}", None)
            if refusal is not None:
                data["metrics"] |= {n: {**refusal, "n_valid": 0, "n_total": 0} for n in names}
        return data

    return line


def cells_json(
    plan: Plan,
    progress: PlanState,
    store: Store,
    outcome: RunOutcome | None,
    rows: Sequence[MethodRow],
    measured: Sequence[tuple[MetricFamily, Mapping[str, Any]]],
) -> list[dict[str, Any]]:
    """All lines of cells.jsonl."""
    return list(map(line_maker(plan, progress, store, outcome, rows, measured), plan.cells))


def _is_finished(cell: Cell, plan: Plan, outcome: RunOutcome) -> bool:
    """Whether every stage of a cell has an outcome that is not only that the run was stopped."""
    states = [outcome.states.get(name) for name in (plan.synthesize[cell], *plan.scores[cell].values())]
    return all(
        state is not None
        and state.how != "skipped"
        and not (state.how == "blocked" and outcome.stopped and state.reason == outcome.stopped)
        for state in states
    )
