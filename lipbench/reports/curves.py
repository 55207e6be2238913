"""Curves of a run as numbers: a metric over training length, quality over cost, sync distance over AV shift.

The clip is the unit: every point is a mean over clips, its band the t interval over clips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from lipbench.core.errors import NothingComparable, UsageError
from lipbench.core.registry import unknown
from lipbench.reports.aggregate import clip_values
from lipbench.reports.details import Details, title_of
from lipbench.reports.frame import Run
from lipbench.reports.statistics import longest, magnitudes, mean_interval

#: Shifts of the sync model, in frames: entry j of its distances stands for an AV offset of 15 - j.
OFFSETS = tuple(15 - j for j in range(31))


@dataclass(frozen=True)
class Point:
    """One mean over clips.

    Attributes:
        x: None is the whole clip (training length).
        y: mean over clips.
        low: lower end of the 95 % t interval over clips; None for one clip.
        high: its upper end.
        n: clips.
        label: what stands beside it, "" for nothing.
    """

    x: float | None
    y: float
    low: float | None
    high: float | None
    n: int
    label: str = ""


@dataclass(frozen=True)
class CurveLine:
    """One method; `group` is the language where languages are kept apart."""

    method: str
    title: str
    kind: str
    points: tuple[Point, ...]
    group: str = ""


@dataclass(frozen=True)
class Curve:
    """Lines over one pair of axes.

    Attributes:
        kind: length, cost or shift.
        pareto: (x, y) of the points that no other method beats in both, from cheap to dear; cost curves only.
        notes: what is not in the image and why.
    """

    kind: str
    title: str
    x_title: str
    y_title: str
    better: str
    lines: tuple[CurveLine, ...]
    pareto: tuple[tuple[float, float], ...] = ()
    notes: tuple[str, ...] = ()


def lengths(run: Run, metric: str, by_language: bool = False) -> Curve:
    """A metric over training length, one line per method (the LipNeRF paper's Fig. 6); per language when asked.

    A point is drawn only when every clip of that length has a value.

    Raises:
        UnknownName: no such metric.
        NothingComparable: the run has one training length, or no number.
    """
    spec = _spec(run, metric)
    data = magnitudes(run)
    data = data[data["metric"] == metric]
    if data["train_seconds"].nunique(dropna=False) < 2:
        raise NothingComparable(
            f"{run.name} has one training length",
            "a curve needs two",
            "run it with more, e.g. `lipbench run --train-seconds 3,5,8,full`",
        )
    lines: list[CurveLine] = []
    notes: list[str] = []
    for language in sorted(data["language"].unique()) if by_language else [""]:
        part = data[data["language"] == language] if language else data
        values = clip_values(part, ["train_seconds"])
        for label, about in run.methods.items():
            points = []
            for x, own in _by_length(values, label):
                point = _point(x, own["value"].to_numpy())
                if point is None:
                    missing = int(own["value"].isna().sum())
                    where = "the whole clip" if x is None else f"{x:g} s"
                    notes.append(f"{label} at {where}: {missing} of {len(own)} clips have no number")
                else:
                    points.append(point)
            if points:
                title = title_of(run.methods, label)
                lines.append(CurveLine(label, title, str(about["kind"]), tuple(sorted(points, key=_place)), language))
    return _curve(
        run,
        Curve(
            "length",
            f"{spec['title']} over training length",
            "training length (s)",
            _axis(spec),
            str(spec["better"]),
            tuple(lines),
            (),
            tuple(dict.fromkeys(notes)),
        ),
        metric,
    )


def _by_length(values: pd.DataFrame, method: str) -> Iterator[tuple[float | None, pd.DataFrame]]:
    """(train seconds or None, rows over clips) of one method."""
    own = values[values["method"] == method]
    for seconds in own["train_seconds"].unique():
        if math.isnan(seconds):
            yield None, own[own["train_seconds"].isna()]
        else:
            yield float(seconds), own[own["train_seconds"] == seconds]


def _place(point: Point) -> float:
    return np.inf if point.x is None else point.x


def costs(details: Details, metric: str) -> Curve:
    """A metric over what a cell costs: seconds of prepare, fit and synthesize, as the records have them.

    Videos that came finished from elsewhere have no place in it. A shared fit counts in full for every dub, as a user
    who dubs one clip into one language would pay it.

    Raises:
        UnknownName: no such metric.
        NothingComparable: no method has both numbers.
    """
    run = details.run
    spec = _spec(run, metric)
    seconds: dict[tuple[str, float | None], list[float]] = {}
    for cell in details.cells:
        spent = details.stage_seconds(cell)
        if cell["status"] == "ok" and "synthesize" in spent:
            seconds.setdefault((cell["method"], cell["train_seconds"]), []).append(sum(spent.values()))
    data = magnitudes(run)
    values = clip_values(data[data["metric"] == metric], ["train_seconds"])
    lines = []
    for label, about in run.methods.items():
        if about.get("made_elsewhere"):
            continue  # a copy costs nothing, whatever the method did
        points = []
        for at, own in _by_length(values, label):
            point = _point(0.0, own["value"].to_numpy())
            if point is not None and np.isfinite(point.y) and (label, at) in seconds:
                x = max(float(np.mean(seconds[label, at])), 1e-3)
                points.append(replace(point, x=x, label="" if at is None else f"{at:g} s"))
        if points:
            lines.append(CurveLine(label, title_of(run.methods, label), str(about["kind"]), tuple(points)))
    pareto = _pareto(lines, str(spec["better"]))
    return _curve(
        run,
        Curve(
            "cost",
            f"{spec['title']} over cost",
            "seconds of work per video (log)",
            _axis(spec),
            str(spec["better"]),
            tuple(lines),
            pareto,
        ),
        metric,
    )


def _pareto(lines: Sequence[CurveLine], better: str) -> tuple[tuple[float, float], ...]:
    """Points of methods (not controls) that no cheaper one beats."""
    sign = -1 if better == "higher" else 1
    points = sorted((p.x or 0.0, sign * p.y) for line in lines if line.kind == "method" for p in line.points)
    front: list[tuple[float, float]] = []
    for x, y in points:
        if not front or y < front[-1][1]:
            front.append((x, y))
    return tuple((x, sign * y) for x, y in front) if better in ("higher", "lower", "zero") else ()


def shifts(details: Details) -> Curve:
    """Mean sync distance per AV offset, one line per method: where the valley lies and how deep it is.

    LSE-D is the lowest point, the AV offset its place, LSE-C the median minus the lowest point, of each video; this
    shows the mean of the curves over dubs, then clips.

    Raises:
        NothingComparable: the sync model has no number.
    """
    rows: dict[str, dict[str, list[np.ndarray]]] = {}
    _, seconds = longest(details.run.frame)
    for cell in details.cells:
        distances = details.distances(cell) if cell["train_seconds"] == seconds else None
        if distances is not None:
            rows.setdefault(cell["method"], {}).setdefault(cell["clip"], []).append(distances)
    lines = []
    for label, about in details.run.methods.items():
        clips = [np.mean(np.stack(own), axis=0) for own in rows.get(label, {}).values()]
        if clips:
            table = np.stack(clips)  # (clips, 31)
            points = [p for x, y in zip(OFFSETS, table.T, strict=True) if (p := _point(float(x), y)) is not None]
            title = title_of(details.run.methods, label)
            lines.append(CurveLine(label, title, str(about["kind"]), tuple(reversed(points))))
    curve = Curve(
        "shift",
        "Sync distance over AV offset",
        "AV offset (frames; positive: audio leads)",
        "mean distance ↓",
        "lower",
        tuple(lines),
    )
    return _curve(details.run, curve, "lse_d")


def _spec(run: Run, metric: str) -> Any:
    if metric not in run.metrics:
        raise unknown("metrics", metric, list(run.metrics))
    return run.metrics[metric]


def _axis(spec: Any) -> str:
    arrow = {"higher": " ↑", "lower": " ↓", "zero": " →0", "none": ""}[spec["better"]]
    return f"{spec['title']}{arrow}" + (f" [{spec['unit']}]" if spec.get("unit") else "")


def _point(x: float | None, values: np.ndarray) -> Point | None:
    """Mean and interval of (clips,) values; None when one is missing."""
    if len(values) == 0 or np.isnan(values).any():
        return None
    band = mean_interval(values)
    low, high = (None, None) if band is None else (band.low, band.high)
    return Point(x, float(values.mean()), low, high, len(values))


def _curve(run: Run, curve: Curve, metric: str) -> Curve:
    if not any(line.points for line in curve.lines):
        own = run.frame[(run.frame["metric"] == metric) & run.frame["reason"].notna()]
        reason = "" if own.empty else str(own["reason"].iloc[0])
        raise NothingComparable(
            f"there is no {curve.kind} curve of {metric} in {run.name}",
            reason or "no numbers",
            "choose another --metric",
        )
    return curve


def build(details: Details, kind: str, metric: str = "lse_d", by_language: bool = False) -> Curve:
    """One curve of a run; kind length, cost or shift.

    Raises:
        UsageError: another kind.
        UnknownName, NothingComparable: as `lengths`, `costs`, `shifts`.
    """
    if kind == "length":
        return lengths(details.run, metric, by_language)
    if kind == "cost":
        return costs(details, metric)
    if kind == "shift":
        return shifts(details)
    raise UsageError(f"no curve is called {kind!r}", "", "one of length, cost, shift")
