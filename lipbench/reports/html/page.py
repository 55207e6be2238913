"""The page: everything gathered, handed to one template, written as a folder or as one file."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lipbench import __version__
from lipbench.core.atomic import write_text
from lipbench.core.errors import NothingComparable
from lipbench.reports import plain
from lipbench.reports.details import Details
from lipbench.reports.html import charts, facts, videos, views
from lipbench.reports.html.grid import GridRow, grid, headline, led, series_metrics
from lipbench.reports.html.verdict import banner, read_gate
from lipbench.reports.leading import compact_ids
from lipbench.reports.tables import build

BUDGET = 25_000_000


@dataclass(frozen=True)
class ReportFile:
    """What `write` made.

    Attributes:
        page: the html file.
        size: its bytes.
        videos: videos shown.
        left_out: videos left out for the budget.
        remarks: what was shrunk or left out, for people.
    """

    page: Path
    size: int
    videos: int
    left_out: int
    remarks: tuple[str, ...]


def write(
    run_dir: str | Path,
    out: str | Path | None = None,
    *,
    single_file: bool = False,
    budget: int = BUDGET,
    gate: str | Path | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> ReportFile:
    """Write the report of a run.

    Args:
        out: folder (index.html and media/ go into it), or with `single_file` the file. Default: report/ or
            report.html in the run directory.
        budget: bytes that a single file may have.
        gate: verdict file of `lipbench gate --output`; default gate.json in the run directory, when it is there.
        log: hears progress.

    Raises:
        UsageError, StoreError: as `load_run`.
        NothingComparable: the run has no cells.
    """
    details = Details(run_dir)
    if not details.cells:
        raise NothingComparable(f"{details.run.name} has no cells", "nothing was asked for", "check the run's filters")
    page = _place(details.root, out, single_file)
    found = details.root / "gate.json" if gate is None else Path(gate)
    verdict = read_gate(found) if gate is not None or found.exists() else None
    ids = headline(details)
    wanted = series_metrics(details, ids)
    rows = grid(details, ids, wanted)
    if not details.run.finished.all:  # what is still to come is counted on top
        rows = [row for row in rows if row.videos]
    context = {**_context(details, ids, wanted), "banner": banner(details, ids, verdict)}
    names = videos.named((tile.video, tile.name) for row in rows for tile in row.tiles if tile.video is not None)
    if not single_file:
        album = videos.folder(names, page.parent / "media", log)
        return _finish(page, context, rows, album, False, ())
    with tempfile.TemporaryDirectory() as scratch:
        bare = len(_render(context, rows, videos.Album({}, videos.FOLDER, (), 0), True, ()).encode())
        album = videos.budgeted([row.videos for row in rows], names, Path(scratch), budget - bare - 4096, log)
        remarks = [f"Videos are previews to keep this file below {videos.megabytes(budget)}: {album.quality.words}"]
        if album.left_out:
            remarks.append(
                f"{len(album.left_out)} of {len(album.previews)} videos are left out for the same reason "
                "(the rows that score best); the folder form of the report has them all"
            )
        return _finish(page, context, rows, album, True, tuple(remarks))


def _place(root: Path, out: str | Path | None, single: bool) -> Path:
    if single:
        return root / "report.html" if out is None else Path(out)
    return (root / "report" if out is None else Path(out)) / "index.html"


def _context(details: Details, ids: list[str], wanted: list[str]) -> dict[str, Any]:
    run = details.run
    spec = run.metrics
    undrawn: list[str] = []
    chosen = compact_ids(spec, ids)
    compact = facts.compact_view(build(run, metrics=chosen), chosen) if chosen else None
    series = [
        {"id": name, "title": spec[name]["title"], "unit": plain.unit(spec[name]), "better": spec[name]["better"]}
        for name in led(spec, wanted)
    ]
    context = {
        "run": run,
        "about": details.about,
        "version": __version__,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "compact": compact,
        "leading": [*chosen[:1], *[name for name in chosen if not plain.measures_sync(spec[name])][:1]],
        "legend": facts.legend(run, chosen),
        "tables": [facts.table_view(table) for by in _groupings(details) for table in build(run, by=by, paper=not by)],
        "charts": charts.charts(details, ids, undrawn),
        "strips": charts.strips(details, ids, undrawn) if run.frame["clip"].nunique() > 1 else [],
        "metrics": [{"id": name, "title": spec[name]["title"]} for name in led(spec, ids)],
        "series": series,
        "failures": [{"failure": f, "words": plain.STATUSES.get(f.status, f.status)} for f in details.failures],
        "licences": facts.licences(details),
        "provenance": facts.provenance(details),
        "deviations": facts.deviations(details),
        "definitions": facts.definitions(details),
        "missing": _missing(details),
        "request": json.dumps(details.about.get("request"), indent=1, ensure_ascii=False),
    }
    return {**context, "undrawn": undrawn}


def _groupings(details: Details) -> list[tuple[str, ...]]:
    """All clips, and every way of keeping rows apart that says more."""
    data = details.run.frame
    found: list[tuple[str, ...]] = [()]
    found += [("seconds",)] if data["train_seconds"].nunique(dropna=False) > 1 else []
    found += [("sound",)] if details.run.sound.nunique() > 1 else []
    found += [("lang",)] if data["language"].nunique() > 1 else []
    return found + ([("clip",)] if data["clip"].nunique() > 1 else [])


def _missing(details: Details) -> list[tuple[str, int, str]]:
    """(reason, videos, metrics) of numbers that videos lack, most frequent first."""
    data, metrics = details.run.frame, details.run.metrics
    bad = data[data["value"].isna() & (data["status"] == "ok")]
    found = [
        (
            plain.reason(str(reason), 400),
            len(part[["method", "clip", "dub", "train_seconds", "seed"]].drop_duplicates()),
            ", ".join(dict.fromkeys(str(metrics[name]["title"]) for name in part["metric"])),
        )
        for reason, part in bad.groupby("reason")
    ]
    return sorted(found, key=lambda row: -row[1])


def _finish(
    page: Path,
    context: dict[str, Any],
    rows: list[GridRow],
    album: videos.Album,
    single: bool,
    remarks: tuple[str, ...],
) -> ReportFile:
    remarks += tuple(context["undrawn"])
    text = _render(context, rows, album, single, remarks)
    write_text(page, text)
    shown = sum(preview.video is not None for preview in album.previews.values())
    return ReportFile(page, len(text.encode()), shown, len(album.left_out), remarks)


def _render(
    context: dict[str, Any], rows: list[GridRow], album: videos.Album, single: bool, remarks: tuple[str, ...]
) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    env = Environment(
        loader=PackageLoader("lipbench.reports.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    blobs: dict[str, str] = {}
    return env.get_template("page.html.j2").render(
        **context,
        rows=[views.row_view(row, context["leading"], album, single, blobs) for row in rows],
        data=views.script_json(views.row_data(rows)),
        blobs=blobs,
        remarks=remarks,
        single=single,
    )
