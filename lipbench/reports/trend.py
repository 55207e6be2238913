"""Many runs over time: one row per run, method and metric, kept in a Parquet file, so that run folders may go.

Values are means over clips with t intervals, as in tables. Two neighbors are connected only when they measured the
same thing: same sync model, metric version, clips and dubs.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lipbench.core import renames
from lipbench.core.atomic import atomic_write
from lipbench.core.errors import StoreError, UsageError
from lipbench.core.keys import key_of
from lipbench.core.registry import former_names
from lipbench.reports.frame import load_run
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import Headline, Snapshot
from lipbench.reports.gate.facts import snapshot
from lipbench.reports.statistics import mean_interval
from lipbench.reports.steps import steps

#: run: name of its folder (nightly runs share the name in their run file). when: UTC, of the last synthesis.
#: same: digest of what has to be equal for two means to be compared.
COLUMNS = (
    "run",
    "when",
    "lipbench",
    "commit",
    "sync_model",
    "method",
    "metric",
    "title",
    "unit",
    "better",
    "decimals",
    "version",
    "headline",
    "n",
    "total",
    "mean",
    "low",
    "high",
    "same",
)
FILE = "trend.parquet"


@dataclass(frozen=True)
class TrendStep:
    """A lasting change: between run `before` and run `at`, made at `when`, the level went from `old` to `new`."""

    method: str
    metric: str
    before: str
    at: str
    when: pd.Timestamp
    old: float
    new: float
    worse: bool


def rows(run_dir: str | Path) -> pd.DataFrame:
    """A run's rows (COLUMNS), one per method and metric with a value on every clip.

    Raises:
        UsageError, StoreError: as `load_run`.
    """
    root = Path(run_dir)
    run = load_run(root)
    facts = snapshot(root, run)
    about = json.loads((root / "run.json").read_text(encoding="utf-8"))
    made = about.get("provenance") or {}
    out = []
    for line in facts.headlines.values():
        values = [*line.known.values()]
        whole = bool(values) and len(values) == len(line.clips)
        interval = mean_interval(values) if whole else None
        spec = run.metrics.get(line.metric, {})
        out.append(
            (
                root.resolve().name,
                _when(root),
                made.get("lipbench"),
                made.get("commit"),
                run.sync_model,
                line.method,
                line.metric,
                line.title,
                line.unit,
                line.better,
                line.decimals,
                line.version,
                bool(spec.get("headline", True)) and not line.relative,
                len(values),
                len(line.clips),
                float(np.mean(values)) if whole else math.nan,
                interval.low if interval else math.nan,
                interval.high if interval else math.nan,
                _same(line, facts),
            )
        )
    data = pd.DataFrame(out, columns=list(COLUMNS))
    return data.astype(
        {"when": "datetime64[us, UTC]", "mean": float, "low": float, "high": float, "n": int, "total": int}
    )


def _when(root: Path) -> pd.Timestamp:
    """When the last video was made; without times in the cells, when run.json was written."""
    started = 0.0
    for line in (root / "cells.jsonl").read_text(encoding="utf-8").splitlines():
        if line.strip():
            started = max(started, float((json.loads(line).get("timing") or {}).get("started") or 0))
    return pd.Timestamp(started or (root / "run.json").stat().st_mtime, unit="s", tz="UTC").round("ms")


def _same(line: Headline, facts: Snapshot) -> str:
    """What two means must share to be compared."""
    inputs = {
        clip: {dub: digest or facts.manifest_digest for dub, digest in v.dubs.items()} for clip, v in line.clips.items()
    }
    machine = facts.hardware if line.relative else {"gpus": facts.hardware.get("gpus")}
    return key_of(
        {
            "version": line.version,
            "region": line.region,
            "train_seconds": line.train_seconds,
            "inputs": inputs,
            "sync_model": facts.sync_model if policy.is_sync(line.metric) else None,
            "machine": machine,
        }
    )[:16]


def read(path: Path) -> pd.DataFrame:
    """A history file.

    Raises:
        StoreError: not one.
    """
    try:
        data = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(
            f"cannot read {path}", str(error).splitlines()[0], "restore it, or delete it and give all runs"
        ) from error
    data = data.rename(columns=renames.FIELDS)
    if lacking := [name for name in COLUMNS if name not in data]:
        raise StoreError(
            f"{path} is not a history of lipbench", f"it lacks {', '.join(lacking)}", "name another folder"
        )
    return data.assign(method=data["method"].replace(dict(former_names())))


def collect(run_dirs: Iterable[str | Path], history: Path | None = None) -> pd.DataFrame:
    """The rows of runs, after those of a history file where there is one; oldest first, each run once."""
    parts = [read(history)] if history is not None and history.exists() else []
    parts += [rows(path) for path in run_dirs]
    if not parts:
        raise UsageError("there is no history", "no run is given and there is no file", "name run directories")
    data = pd.concat(parts, ignore_index=True)
    data = data.drop_duplicates(["run", "when", "method", "metric"], keep="last")
    return data.sort_values(["when", "run"], kind="stable").reset_index(drop=True)


def write(path: Path, data: pd.DataFrame) -> None:
    """Write a history file, whole or not at all.

    Raises:
        DiskFull: no space left.
    """
    with atomic_write(path) as draft:
        data.to_parquet(draft, index=False)


def metrics_of(data: pd.DataFrame, wanted: Sequence[str] = ()) -> list[str]:
    """Ids of the metrics to show: those asked for, else the headline metrics with a value."""
    measured = data[data["mean"].notna()]
    if wanted:
        return [m for m in dict.fromkeys(data["metric"]) if m in wanted]
    return list(dict.fromkeys(measured.loc[measured["headline"], "metric"]))


def find_steps(data: pd.DataFrame) -> list[TrendStep]:
    """Lasting changes of every method and metric, inside stretches of comparable runs; newest last."""
    found = []
    for key, part in data[data["mean"].notna()].groupby(["method", "metric"], sort=False):
        method, metric = (str(name) for name in key)
        for stretch in stretches(part):
            values = stretch["mean"].to_numpy(float)
            if not np.isfinite(values).all():
                continue
            tolerance = policy.tolerance(metric, 0.0)
            runs, better = list(stretch["run"]), str(stretch["better"].iloc[0])
            for i, old, new in steps(values, floor=tolerance / 4):
                if abs(new - old) > tolerance:
                    worse = (new < old) if better == "higher" else (new > old)
                    when = stretch["when"].iloc[i]
                    found.append(TrendStep(method, metric, runs[i - 1], runs[i], when, old, new, worse))
    return sorted(found, key=lambda step: step.when)


def stretches(part: pd.DataFrame) -> list[pd.DataFrame]:
    """Rows of one method and metric, cut where neighbors are not comparable."""
    breaks = (part["same"] != part["same"].shift()).cumsum()
    return [stretch for _, stretch in part.groupby(breaks, sort=False)]


def summary(data: pd.DataFrame, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Method and metric -> the last value and its change against the run before, where these are comparable."""
    out = []
    for metric in metrics:
        for method, part in data[(data["metric"] == metric) & data["mean"].notna()].groupby("method", sort=False):
            last = part.iloc[-1]
            before = part.iloc[-2] if len(part) > 1 else None
            comparable = before is not None and before["same"] == last["same"]
            change = float(last["mean"] - before["mean"]) if comparable and before is not None else None
            out.append(
                {
                    "method": str(method),
                    "metric": metric,
                    "runs": len(part),
                    "run": str(last["run"]),
                    "mean": float(last["mean"]),
                    "n": int(last["n"]),
                    "decimals": int(last["decimals"]),
                    "change": change if change is None or math.isfinite(change) else 0.0,
                    "comparable": bool(comparable) if before is not None else None,
                }
            )
    return out
