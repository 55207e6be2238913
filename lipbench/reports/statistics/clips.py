"""A run's numbers as the statistics want them: one value per method, metric and clip."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lipbench.reports.aggregate import clip_values
from lipbench.reports.frame import Run


@dataclass(frozen=True)
class ClipSeries:
    """One metric of one method over clips.

    Attributes:
        method: label of the run.
        metric: id.
        better: higher, lower, zero (values are magnitudes) or none.
        train_seconds: of the fits behind it; None is the whole clip.
        values: clip -> value (+inf possible), None where the clip is not complete.
        reasons: clip -> why there is none.
    """

    method: str
    metric: str
    better: str
    train_seconds: float | None
    values: Mapping[str, float | None]
    reasons: Mapping[str, str]

    @property
    def known(self) -> dict[str, float]:
        """Clips with a value."""
        return {clip: value for clip, value in self.values.items() if value is not None}


@dataclass(frozen=True)
class Spread:
    """How far the seeds of one method lie apart: beside the clips' spread, never pooled with it.

    Attributes:
        n: seeds.
        sd: standard deviation of the seeds' means over clips; None for one seed.
        means: seed -> mean over the clips that every seed has.
    """

    n: int
    sd: float | None
    means: Mapping[int, float]


def magnitudes(run: Run) -> pd.DataFrame:
    """The run's frame with |value| where zero is best: +5 and -5 frames must not average to a perfect 0."""
    zero = [name for name, spec in run.metrics.items() if spec["better"] == "zero"]
    value = run.frame["value"]
    return run.frame.assign(value=value.where(~run.frame["metric"].isin(zero), value.abs()))


def longest(data: pd.DataFrame) -> tuple[pd.DataFrame, float | None]:
    """The rows of the longest train length, and that length in seconds (None: the whole clip)."""
    lengths = data["train_seconds"]
    if lengths.isna().any() or lengths.empty:
        return data[lengths.isna()], None
    return data[lengths == lengths.max()], float(lengths.max())


def clip_series(run: Run) -> dict[tuple[str, str], ClipSeries]:
    """(method, metric) -> its values over clips, of the longest train length.

    Dubs of one language are averaged first, then languages, then seeds; a clip has a value only when every cell that
    the run asked for has one.
    """
    data, seconds = longest(magnitudes(run))
    found: dict[tuple[str, str], ClipSeries] = {}
    if data.empty:
        return found
    table = clip_values(data)
    for key, part in table.groupby(["method", "metric"], sort=False):
        method, metric = (str(name) for name in key)
        values: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        for clip, value, why in zip(part["clip"], part["value"], part["reasons"], strict=True):
            known = not math.isnan(value)
            values[clip] = float(value) if known else None
            if not known:
                reasons[clip] = "; ".join(why) or "some cells are not in the run"
        spec = run.metrics[metric]
        found[method, metric] = ClipSeries(method, metric, str(spec["better"]), seconds, values, reasons)
    return found


def seed_spread(run: Run) -> dict[tuple[str, str], Spread]:
    """(method, metric) -> the spread of its seeds, each seed's mean over the clips that all of its seeds have."""
    data, _ = longest(magnitudes(run))
    per_seed: dict[tuple[str, str], dict[int, dict[str, float]]] = {}
    for seed in sorted({int(s) for s in data["seed"]}):
        values = clip_values(data[data["seed"] == seed])
        for method, metric, clip, value in zip(
            values["method"], values["metric"], values["clip"], values["value"], strict=True
        ):
            if math.isfinite(value):
                per_seed.setdefault((method, metric), {}).setdefault(seed, {})[clip] = float(value)
    found = {}
    for key, seeds in per_seed.items():
        shared = set.intersection(*(set(clips) for clips in seeds.values()))
        if not shared:
            continue
        means = {seed: float(np.mean([clips[c] for c in sorted(shared)])) for seed, clips in seeds.items()}
        sd = float(np.std(list(means.values()), ddof=1)) if len(means) > 1 else None
        found[key] = Spread(len(means), sd, means)
    return found
