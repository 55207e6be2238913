"""From a run to a sheet: which dub, which moments, which methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.core.errors import NothingComparable, UsageError
from lipbench.core.registry import unknown
from lipbench.reports.details import Details, title_of
from lipbench.reports.figures import crops, moments
from lipbench.reports.figures.moments import MAX_COLUMNS, Moment
from lipbench.reports.figures.types import Sheet, SheetRow


def sheet(
    details: Details,
    *,
    clip: str = "",
    language: str = "",
    methods: Sequence[str] = (),
    n: int = 8,
    times: Sequence[float] = (),
    labels: Sequence[str] = (),
    crop: str = "full",
) -> Sheet:
    """Methods as rows, moments as columns.

    Args:
        clip: of the dub; the run's first when empty.
        language: of the dub; the run's first when empty.
        methods: labels, in this order; all of the run when empty. The source always leads.
        n: columns; `times` (seconds) chooses them by hand.
        labels: what stands above each of `times`; "" for the sound that the manifest has there. None, or one each.
        crop: "full", "mouth", "eyes", or "both" (whole frame, and the mouth below it).

    Raises:
        UnknownName: no such clip, language or method.
        UsageError: no or too many columns, a time outside the clip.
        NothingComparable: no video is left, or a crop without landmarks.
    """
    cells = _cells(details, clip, language, methods)
    one = cells[0]
    dub = (details.run.corpus.get("dubs") or {}).get(one["dub"]) or {}
    phonemes, offset = dub.get("phonemes") or [], float(dub.get("offset_s") or 0.0)
    n_frames, fps = _length(details, cells)
    count = len(times) or n
    if not 1 <= count <= MAX_COLUMNS:
        raise UsageError(
            f"a sheet has 1 to {MAX_COLUMNS} columns, not {count}", "", "choose fewer with --columns or --time"
        )
    if times:
        known = moments.at(times, phonemes, fps, n_frames, offset)
        said = labels or [""] * len(times)
        columns = [Moment(m.frame, label or m.label) for m, label in zip(known, said, strict=True)]
    elif phonemes:
        columns = moments.spread(phonemes, n, fps, n_frames, offset)
    else:
        columns = moments.even(n, n_frames)
    title = f"{one['clip']} in {one['language']}"
    if dub.get("transcript") and not any(c.label for c in columns):
        title += f": {dub['transcript']}"
    return _sheet(details, cells, columns, crop, title)


def blink(
    details: Details,
    *,
    clip: str = "",
    language: str = "",
    methods: Sequence[str] = (),
    n: int = 7,
    times: Sequence[float] = (),
) -> Sheet:
    """Eyes around the source's deepest blink, variants as rows: do they close when they should?

    Raises:
        UnknownName: as `sheet`.
        UsageError: as `sheet`.
        NothingComparable: as `sheet`, or the source does not blink.
    """
    if times:
        return sheet(details, clip=clip, language=language, methods=methods, times=times, crop="eyes")
    cells = _cells(details, clip, language, methods)
    track = details.faces(cells[0])
    if track is None:
        raise NothingComparable(
            "there is no face track of the source", "no metric of the run asked for one", "run with the image metrics"
        )
    _, fps = _length(details, cells)
    columns = moments.around_blink(moments.eye_opening(track), n, fps)
    title = f"{cells[0]['clip']} in {cells[0]['language']}, blink at {columns[len(columns) // 2].frame / fps:.2f} s"
    return _sheet(details, cells, columns, "eyes", title)


def _cells(details: Details, clip: str, language: str, methods: Sequence[str]) -> list[dict[str, Any]]:
    """The cells of one dub, one per method, of the longest training length and the first seed."""
    cells = details.cells
    for name, wanted, column in (("clips", clip, "clip"), ("languages", language, "language")):
        if wanted and wanted not in {c[column] for c in cells}:
            raise unknown(name, wanted, sorted({c[column] for c in cells}))
        cells = [c for c in cells if not wanted or c[column] == wanted]
    for method in methods:
        if method not in details.run.methods:
            raise unknown("methods", method, list(details.run.methods))
    if not cells:
        raise NothingComparable(
            "no cell is left", f"{clip} has no dub in {language}", "choose another --clip or --lang"
        )
    first = cells[0]["dub"]
    chosen: dict[str, dict[str, Any]] = {}
    for cell in sorted((c for c in cells if c["dub"] == first), key=_preference):
        chosen.setdefault(cell["method"], cell)
    order = list(methods) or [label for label in details.run.methods if label in chosen]
    found = [chosen[label] for label in order if label in chosen]
    if not found:
        raise NothingComparable(
            f"no video of {first}", "the methods asked for have no cell", "choose others with --method"
        )
    return found


def _preference(cell: Mapping[str, Any]) -> tuple[float, int]:
    seconds = cell["train_seconds"]
    return (-np.inf if seconds is None else -seconds, cell["seed"])


def _length(details: Details, cells: Sequence[Mapping[str, Any]]) -> tuple[int, float]:
    """(frames, fps) of the shortest video."""
    videos = [v for cell in cells if (v := details.video(cell)) is not None]
    if not videos:
        raise NothingComparable("there is nothing to show", "no video is in the run directory", "run it (again)")
    about = [media.probe(v) for v in videos]
    return min(a.n_frames for a in about), float(about[0].fps)


def _sheet(
    details: Details, cells: Sequence[Mapping[str, Any]], columns: Sequence[Moment], crop: str, title: str
) -> Sheet:
    parts = {"full": ["full"], "both": ["full", "mouth"]}.get(crop, [crop])
    track = None if parts == ["full"] else details.faces(cells[0])
    if track is None and parts != ["full"]:
        why = "no metric of the run tracked the source's face"
        raise NothingComparable(f"there is no place of the {parts[-1]}", why, "show whole frames instead")
    boxes = {part: crops.boxes(track, part) for part in parts if part != "full" and track is not None}
    rows: list[SheetRow] = []
    notes = []
    sources: list[tuple[str, Path | None]] = []
    if not any(cell["method_id"] == "dubbed" for cell in cells):
        sources.append(("Source", details.source(cells[0])))
    for cell in sorted(cells, key=lambda c: c["method_id"] != "dubbed"):  # the source itself leads
        name = "Source" if cell["method_id"] == "dubbed" else title_of(details.run.methods, cell["method"])
        sources.append((name, details.video(cell)))
        if details.video(cell) is None:
            notes.append(f"{name}: {cell.get('reason') or 'the video is no longer in the run directory'}")
    frames = [moment.frame for moment in columns]
    for name, video in sources:
        if video is None:
            continue
        images = crops.pick(video, frames)
        for part in parts:
            own = (
                images
                if part == "full"
                else [
                    None if p is None else crops.cut(p, boxes[part][min(f, len(boxes[part]) - 1)])
                    for p, f in zip(images, frames, strict=True)
                ]
            )
            rows.append(SheetRow(name if part == parts[0] else "", tuple(own)))
    return Sheet(title, tuple(columns), tuple(rows), tuple(notes))
