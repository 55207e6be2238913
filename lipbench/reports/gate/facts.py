"""A run directory in the form of a baseline: every metric and cost of every method, per clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lipbench.reports.frame import Run, load_run, read_cells, read_run
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import ClipValue, Headline, Snapshot
from lipbench.reports.statistics import ClipSeries, clip_series


def snapshot(run_dir: str | Path, run: Run | None = None) -> Snapshot:
    """What a run says; `run`: the same, where it is loaded already.

    Raises:
        UsageError: not a run directory, or one without results.
        StoreError: files of another schema, or damaged.
    """
    root = Path(run_dir)
    run = run or load_run(root)  # says what is wrong with the files
    about, cells = read_run(root), list(read_cells(root))
    known = (about.get("corpus") or {}).get("clips") or {}
    own = {clip: said["av_offset"] for clip, said in known.items() if said.get("av_offset") is not None}
    lines_by_key = {
        key: _headline(run, series, cells, own) for key, series in clip_series(run).items() if series.better != "none"
    }
    for method in run.methods:
        for name in policy.COSTS:
            if (line := _cost(method, name, cells)) is not None:
                lines_by_key[method, name] = line
    return Snapshot(
        run.name,
        _sync_model(about),
        str(about.get("manifest_digest") or ""),
        (about.get("request") or {}).get("split"),
        int(about.get("key_version") or 0),
        _hardware(about),
        lines_by_key,
    )


def _sync_model(about: Mapping[str, Any]) -> dict[str, Any]:
    """What makes two sync models the same: name, weights, protocol and every option."""
    identity = (about.get("sync_model_details") or {}).get("identity") or {}
    return {
        "name": str(about["sync_model"]),
        "protocol": str(about.get("protocol") or ""),
        "sha256": identity.get("sync_model_sha256"),
        "constants": identity.get("constants"),
        "options": dict(identity.get("options") or {}),
    }


def _hardware(about: Mapping[str, Any]) -> dict[str, Any]:
    facts = about.get("provenance") or {}
    return {"gpus": sorted(facts.get("gpus") or []), "cpu": facts.get("cpu"), "cores": facts.get("cores")}


def _headline(run: Run, series: ClipSeries, cells: Iterable[Mapping[str, Any]], offsets: Mapping[str, int]) -> Headline:
    """A metric of a method; `offsets`: clip -> its own offset, which belongs to the inputs of what is taken there."""
    spec = run.metrics[series.metric]
    mine = [c for c in cells if c["method"] == series.method and c["train_seconds"] == series.train_seconds]
    dubs = _dubs(mine)
    if series.metric in policy.AT_OFFSET:
        for clip in offsets.keys() & dubs.keys():
            dubs[clip] = {dub: digest and f"{digest} at {offsets[clip]:+d}" for dub, digest in dubs[clip].items()}
    clips = {
        clip: ClipValue(value, dubs.get(clip, {}), " ".join(series.reasons.get(clip, "").split()))
        for clip, value in sorted(series.values.items())
    }
    own = float(spec.get("tolerance") or 0.0)
    return Headline(
        series.method,
        series.metric,
        str(spec["title"]),
        str(spec.get("version") or ""),
        series.better,
        str(spec.get("unit") or ""),
        int(spec["decimals"]),
        str(spec.get("region") or ""),
        policy.tolerance(series.metric, own, series.values.values()),
        False,
        series.train_seconds,
        _seeds(mine),
        clips,
    )


def _dubs(cells: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str | None]]:
    """clip -> dub -> the digest of its inputs, where the run wrote one."""
    found: dict[str, dict[str, str | None]] = {}
    for cell in cells:
        digest = (cell.get("keys") or {}).get("dub")
        found.setdefault(cell["clip"], {})[cell["dub"]] = digest and str(digest)[:16]
    return found


def _seeds(cells: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    return tuple(sorted({int(cell["seed"]) for cell in cells}))


def _cost(method: str, name: str, cells: list[dict[str, Any]]) -> Headline | None:
    """What a method's syntheses cost, clip by clip; of all train lengths, they cost the same."""
    title, unit, field = policy.COSTS[name]
    mine = [c for c in cells if c["method"] == method]
    values: dict[str, list[float | None]] = {}
    for cell in mine:
        values.setdefault(cell["clip"], []).append((cell.get("timing") or {}).get(field))
    if not any(v is not None for own in values.values() for v in own):
        return None
    dubs = _dubs(mine)
    clips = {}
    for clip, own in sorted(values.items()):
        known = [v for v in own if v is not None]
        whole = len(known) == len(own)
        value = sum(known) / len(known) if whole else None
        clips[clip] = ClipValue(value, dubs[clip], "" if whole else "some cells have no timing")
    return Headline(
        method, name, title, "1", "lower", unit, 2, "", policy.COST_TOLERANCE, True, None, _seeds(mine), clips
    )
