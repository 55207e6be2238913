"""Clips x methods: what stands beside what, in which order, with the numbers and the curves per frame."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.reports.details import Details, number, title_of
from lipbench.reports.table import shown

#: Metrics per frame that a page carries at most; each costs about 1 kB a video.
MAX_SERIES = 8


@dataclass(frozen=True)
class Tile:
    """One video of the grid.

    Attributes:
        method: label; "" for the source and the truth, which no method made.
        video: file, or None, and then `why` says why.
        values: (metric id, title, text, hint): headline numbers for people; the hint is a reason or a remark.
        series: metric id -> (T,) per frame.
    """

    method: str
    title: str
    kind: str
    video: Path | None
    why: str
    values: tuple[tuple[str, str, str, str], ...] = ()
    series: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class GridRow:
    """Videos of one dub that play together.

    Attributes:
        key: anchor in the page.
        worst: metric id -> how bad the worst method is (higher = worse); absent without a number.
        transcript: what is said, "" when unknown.
    """

    key: str
    clip: str
    language: str
    title: str
    transcript: str
    tiles: tuple[Tile, ...]
    worst: Mapping[str, float]

    @property
    def videos(self) -> list[Path]:
        """The row's videos."""
        return [tile.video for tile in self.tiles if tile.video is not None]


def badness(value: float | None, better: str) -> float | None:
    """A value so that higher is worse; None for "none" and for missing numbers."""
    if value is None or better not in ("higher", "lower", "zero"):
        return None
    return -value if better == "higher" else abs(value) if better == "zero" else value


def headline(details: Details) -> list[str]:
    """Ids of the metrics that a page shows first: headline ones with numbers."""
    measured = set(details.run.frame.loc[details.run.frame["value"].notna(), "metric"])
    found = [name for name, spec in details.run.metrics.items() if spec.get("headline", True) and name in measured]
    return found or [name for name in details.run.metrics if name in measured]


def led(ids: Sequence[str]) -> list[str]:
    """The ids with sync in front: that is what these methods are made for."""
    return sorted(ids, key=lambda name: not name.startswith("lse_d"))


def unit(spec: Mapping[str, Any]) -> str:
    """A metric's unit as a page writes it."""
    return str(spec.get("unit") or "").replace("^2", "²")


def series_metrics(details: Details, ids: Sequence[str]) -> list[str]:
    """The headline metrics that some video has per frame, at most MAX_SERIES."""
    found: dict[str, None] = {}
    for cell in details.cells:
        found |= dict.fromkeys(name for name in details.per_frame(cell) if name in ids)
    return [name for name in ids if name in found][:MAX_SERIES]


def grid(details: Details, ids: Sequence[str], wanted: Sequence[str]) -> list[GridRow]:
    """Rows of the grid, worst first by the metric that leads.

    Args:
        ids: metrics whose numbers stand under each video.
        wanted: metrics whose values per frame are drawn.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for cell in details.cells:
        at = (cell["clip"], cell["language"], cell["dub"], cell["train_seconds"], cell["seed"])
        groups.setdefault(at, []).append(cell)
    rows = [_row(details, n, cells, ids, wanted) for n, cells in enumerate(groups.values(), 1)]
    first = led(ids)[0] if ids else ""
    return sorted(rows, key=lambda row: -row.worst.get(first, -math.inf))


def _row(details: Details, n: int, cells: list[dict[str, Any]], ids: Sequence[str], wanted: Sequence[str]) -> GridRow:
    one = cells[0]
    dub = (details.run.corpus.get("dubs") or {}).get(one["dub"]) or {}
    tiles = [_tile(details, cell, ids, wanted) for cell in cells]
    known = {cell["method_id"] for cell in cells}
    extras = (("Truth", "truth", details.truth(one)), ("Source", "dubbed", details.source(one)))
    for title, method, path in extras:
        if path is not None and method not in known:
            tiles.insert(0, Tile("", title, "reference", path, ""))
    ranked = [cell for cell in cells if cell["kind"] == "method"] or cells
    worst: dict[str, float] = {}
    for name in ids:
        values = [number((cell["metrics"].get(name) or {}).get("value")) for cell in ranked]
        costs = [c for value in values if (c := badness(value, details.run.metrics[name]["better"])) is not None]
        if costs:
            worst[name] = max(costs)
    title = f"{one['clip']} in {one['language']}"
    if dub.get("kind") == "original":
        title += " (its own audio)"
    if one["train_seconds"] is not None:
        title += f", trained on {one['train_seconds']:g} s"
    if one["seed"]:
        title += f", seed {one['seed']}"
    return GridRow(f"row-{n}", one["clip"], one["language"], title, dub.get("transcript") or "", tuple(tiles), worst)


def _tile(details: Details, cell: Mapping[str, Any], ids: Sequence[str], wanted: Sequence[str]) -> Tile:
    video = details.video(cell)
    why = "" if video is not None else cell.get("reason") or "the video is no longer in the run directory"
    values = []
    for name in ids:
        spec, score = details.run.metrics[name], cell["metrics"].get(name) or {}
        value = number(score.get("value"))
        text = "–" if value is None else f"{shown(value, int(spec['decimals']))} {unit(spec)}".strip()
        text = text.replace("inf", "∞").replace("-", "−")
        values.append((name, str(spec["title"]), text, str(score.get("reason") or "")))
    series = {name: row for name, row in details.per_frame(cell).items() if name in wanted}
    title = title_of(details.run.methods, cell["method"])
    return Tile(cell["method"], title, str(cell["kind"]), video, why, tuple(values), series)


def compact(values: NDArray[np.float64]) -> list[float | None]:
    """(T,) -> numbers of four digits; None where there is none or it is not finite."""
    return [float(f"{v:.4g}") if math.isfinite(v) else None for v in values]
