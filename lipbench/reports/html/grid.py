"""Clips x methods: what stands beside what, in which order, with the numbers and the curves per frame."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import LipbenchError
from lipbench.reports import plain
from lipbench.reports.details import Details, number, title_of
from lipbench.reports.figures import crops
from lipbench.reports.figures.moments import plain_sound
from lipbench.reports.plain import measures_sync, unit
from lipbench.reports.table import shown

#: Characters of a file name that one of its parts may take.
PART = 48
#: What a video shows -> the control that shows the same.
_CONTROLS = {"truth": "truth", "source": "dubbed"}
#: Metrics per frame that a page carries at most; each costs about 1 kB a video.
MAX_SERIES = 8


@dataclass(frozen=True)
class Tile:
    """One video of the grid.

    Attributes:
        method: label; "" for the source and the truth, which no method made.
        role: "truth" for the correct video, "source" for the undubbed one, "" for all others.
        name: of a file that is handed on: clip, language and method.
        video: file, or None, and then `why` says why.
        values: (metric id, title, text, hint): headline numbers for people; the hint is a reason or a remark.
        series: metric id -> (T,) per frame.
    """

    method: str
    title: str
    kind: str
    role: str
    name: str
    video: Path | None
    why: str
    values: tuple[tuple[str, str, str, str], ...] = ()
    series: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Mouth:
    """The mouth's box on every frame: its size in px, and (T, 2) px of its corner."""

    width: int
    height: int
    corners: NDArray[np.int64]


@dataclass(frozen=True)
class GridRow:
    """Videos of one dub that play together.

    Attributes:
        key: anchor in the page.
        name: of a file about the row: clip and language.
        transcript: what is said, "" when unknown.
        sounds: (start s, end s, IPA) on the video's clock; empty when unknown.
        mouth: where the mouth is, None when no metric tracked the source's face.
        worst: metric id -> how bad the worst method is (higher = worse); absent without a number.
    """

    key: str
    name: str
    clip: str
    language: str
    title: str
    transcript: str
    sounds: tuple[tuple[float, float, str], ...]
    mouth: Mouth | None
    tiles: tuple[Tile, ...]
    worst: Mapping[str, float]

    @property
    def base(self) -> int | None:
        """Which tile the others are compared with: the correct video, else the undubbed one."""
        roles = [tile.role if tile.video is not None else "" for tile in self.tiles]
        return next((roles.index(role) for role in ("truth", "source") if role in roles), None)

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


def led(metrics: Mapping[str, Mapping[str, Any]], ids: Sequence[str]) -> list[str]:
    """The ids with sync in front: that is what these methods are made for."""
    return sorted(ids, key=lambda name: not measures_sync(metrics[name]))


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
    first = led(details.run.metrics, ids)[0] if ids else ""
    return sorted(rows, key=lambda row: -row.worst.get(first, -math.inf))


def _row(details: Details, n: int, cells: list[dict[str, Any]], ids: Sequence[str], wanted: Sequence[str]) -> GridRow:
    one = cells[0]
    dub = (details.run.corpus.get("dubs") or {}).get(one["dub"]) or {}
    tiles = [_tile(details, cell, ids, wanted) for cell in cells]
    known = {cell["method_id"] for cell in cells}
    extras = (("Truth", "truth", details.truth(one)), ("Source", "source", details.source(one)))
    for title, role, path in extras:
        if path is not None and _CONTROLS[role] not in known:
            tiles.insert(0, Tile("", title, "reference", role, file_name(one, role), path, ""))
    tiles.sort(key=_place)
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
    return GridRow(
        f"row-{n}",
        file_name(one),
        one["clip"],
        one["language"],
        title,
        dub.get("transcript") or "",
        _sounds(dub),
        _mouth(details, one),
        tuple(tiles),
        worst,
    )


def _place(tile: Tile) -> int:
    """The correct video first, then the untouched one, methods, other controls."""
    return {"truth": 0, "source": 1}.get(tile.role, 2 if tile.kind == "method" else 3)


def file_name(cell: Mapping[str, Any], *method: str) -> str:
    """clip_language_method, or clip_language; with training length and seed where a run has several.

    Only letters that any disk takes.
    """
    seconds, seed = cell["train_seconds"], cell["seed"]
    parts = [cell["clip"], cell["language"], *method]
    parts += [f"{seconds:g}s"] if seconds is not None else []
    parts += [f"seed{seed}"] if seed else []
    return "_".join(
        re.sub(r"(?:[^\w.-]|_)+", "-", str(part), flags=re.ASCII).strip("-.")[:PART] or "x" for part in parts
    )


def _sounds(dub: Mapping[str, Any]) -> tuple[tuple[float, float, str], ...]:
    offset = float(dub.get("offset_s") or 0.0)
    rows = dub.get("phonemes") or ()
    return tuple((float(start) + offset, float(end) + offset, plain_sound(str(sound))) for start, end, sound in rows)


def _mouth(details: Details, cell: Mapping[str, Any]) -> Mouth | None:
    track = details.faces(cell)
    if track is None:
        return None
    try:
        found = crops.boxes(track, "mouth")
    except LipbenchError:
        return None  # boxes without landmarks, or no face at all: the views of the mouth are left out
    width, height = (int(v) for v in found[0, 2:] - found[0, :2])
    return Mouth(width, height, found[:, :2])


def _tile(details: Details, cell: Mapping[str, Any], ids: Sequence[str], wanted: Sequence[str]) -> Tile:
    video = details.video(cell)
    why = "" if video is not None else plain.reason(cell.get("reason") or "the video is no longer in the run directory")
    values = []
    for name in ids:
        spec, score = details.run.metrics[name], cell["metrics"].get(name) or {}
        value = number(score.get("value"))
        text = "–" if value is None else f"{shown(value, int(spec['decimals']))} {unit(spec)}".strip()
        text = text.replace("inf", "∞").replace("-", "−")
        values.append((name, str(spec["title"]), text, str(score.get("reason") or "")))
    series = {name: row for name, row in details.per_frame(cell).items() if name in wanted}
    title = title_of(details.run.methods, cell["method"])
    role = next((role for role, method in _CONTROLS.items() if cell["method_id"] == method), "")
    name = file_name(cell, cell["method"])
    return Tile(cell["method"], title, str(cell["kind"]), role, name, video, why, tuple(values), series)
