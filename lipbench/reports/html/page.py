"""The page: everything gathered, handed to one template, written as a folder or as one file."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from lipbench import __version__
from lipbench.core.atomic import write_text
from lipbench.core.errors import LipbenchError, NothingComparable
from lipbench.reports import curves, plots, statistics
from lipbench.reports.details import Details, title_of
from lipbench.reports.html import facts, videos
from lipbench.reports.html.grid import GridRow, compact, grid, headline, led, series_metrics, unit
from lipbench.reports.html.verdict import banner, read_gate
from lipbench.reports.tables import build

BUDGET = 25_000_000
#: Strips and per-metric curves that a page draws at most.
MAX_CHARTS = 6


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
    context = {**_context(details, ids, rows, wanted), "banner": banner(details, ids, verdict)}
    if not single_file:
        album = videos.folder(list(dict.fromkeys(v for row in rows for v in row.videos)), page.parent / "media", log)
        return _finish(page, context, rows, album, False, ())
    with tempfile.TemporaryDirectory() as scratch:
        bare = len(_render(context, rows, videos.Album({}, videos.FOLDER, (), 0), True, ()).encode())
        album = videos.budgeted([row.videos for row in rows], Path(scratch), budget - bare - 4096, log)
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


def _context(details: Details, ids: list[str], rows: list[GridRow], wanted: list[str]) -> dict[str, Any]:
    run = details.run
    spec = run.metrics
    undrawn: list[str] = []
    context = {
        "run": run,
        "about": details.about,
        "version": __version__,
        "made": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "tables": [facts.table_view(table) for by in _groupings(details) for table in build(run, by=by, paper=not by)],
        "charts": _charts(details, ids, undrawn),
        "strips": _strips(details, ids, undrawn),
        "metrics": [{"id": name, "title": spec[name]["title"]} for name in led(ids)],
        "series": [{"id": name, "title": spec[name]["title"], "unit": unit(spec[name])} for name in led(wanted)],
        "failures": details.failures,
        "licences": facts.licences(details),
        "provenance": facts.provenance(details),
        "deviations": facts.deviations(details),
        "definitions": facts.definitions(details),
        "missing": _missing(details),
        "request": json.dumps(details.about.get("request"), indent=1, ensure_ascii=False),
    }
    return {**context, "undrawn": undrawn}


def _drawn(make: Callable[[], Any], name: str, title: str, alt: str, undrawn: list[str]) -> list[dict[str, str]]:
    """A chart for the page; one that cannot be drawn costs itself and not the page."""
    try:
        return [{"title": title, "svg": plots.svg(make(), name, alt)}]
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        undrawn.append(f"the chart of {title} could not be drawn ({type(error).__name__}: {first[:120]})")
        return []


def _groupings(details: Details) -> list[tuple[str, ...]]:
    """All clips, and every way of keeping rows apart that says more."""
    data = details.run.frame
    found: list[tuple[str, ...]] = [()]
    found += [("seconds",)] if data["train_seconds"].nunique(dropna=False) > 1 else []
    found += [("sound",)] if details.run.sound.nunique() > 1 else []
    found += [("lang",)] if data["language"].nunique() > 1 else []
    return found + ([("clip",)] if data["clip"].nunique() > 1 else [])


def _charts(details: Details, ids: list[str], undrawn: list[str]) -> list[dict[str, str]]:
    """Every curve that the run has numbers for."""
    wanted = [("length", name) for name in led(ids)] + [("shift", "lse_d")]
    if any(about["kind"] == "method" for about in details.run.methods.values()):  # controls cost nothing worth a curve
        wanted += [("cost", name) for name in led(ids)[:2]]
    found: list[dict[str, str]] = []
    for kind, metric in wanted:
        try:
            curve = curves.build(details, kind, metric)
        except LipbenchError:
            continue
        lines = ", ".join(line.title for line in curve.lines)
        alt = f"{curve.title}: {curve.y_title} against {curve.x_title}; one line each for {lines}"
        notes = "; ".join(curve.notes)
        chart = _drawn(partial(plots.draw, curve), f"c{len(found)}", curve.title, alt, undrawn)
        found += [{**one, "notes": notes} for one in chart]
        if len(found) == MAX_CHARTS:
            break
    return found


def _strips(details: Details, ids: list[str], undrawn: list[str]) -> list[dict[str, str]]:
    """One strip per headline metric, a dot per clip."""
    series = statistics.clip_series(details.run)
    colors = {title_of(details.run.methods, label): i for i, label in enumerate(details.run.methods)}
    found: list[dict[str, str]] = []
    for name in led(ids)[:MAX_CHARTS]:
        spec = details.run.metrics[name]
        values = {}
        for label in details.run.methods:
            known = series[label, name].known if (label, name) in series else {}
            known = {clip: value for clip, value in known.items() if math.isfinite(value)}
            if known:
                values[title_of(details.run.methods, label)] = known
        if values:
            axis = str(spec["title"]) + (f" [{unit(spec)}]" if unit(spec) else "")
            alt = f"{spec['title']} of every clip, one row each for {', '.join(values)}"
            draw = partial(plots.strip, axis, values, colors)
            found += _drawn(draw, f"s{len(found)}", str(spec["title"]), alt, undrawn)
    return found


def _missing(details: Details) -> list[tuple[str, int, str]]:
    """(reason, cells, metrics) of numbers that videos lack, most frequent first."""
    data = details.run.frame
    bad = data[data["value"].isna() & (data["status"] == "ok")]
    found = [
        (
            str(reason),
            len(part[["method", "clip", "dub", "train_seconds", "seed"]].drop_duplicates()),
            ", ".join(dict.fromkeys(part["metric"])),
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
    views = [_row_view(row, album, single, blobs) for row in rows]
    series = {
        f"{row.key}-{i}": {name: compact(v) for name, v in tile.series.items()}
        for row in rows
        for i, tile in enumerate(row.tiles)
        if tile.series
    }
    # JSON has no infinity; ordering only needs something very large.
    worst = {row.key: {name: min(max(v, -1e30), 1e30) for name, v in row.worst.items()} for row in rows}
    return env.get_template("page.html.j2").render(
        **context,
        rows=views,
        data=_script_json({"series": series, "worst": worst}),
        blobs=blobs,
        remarks=remarks,
        single=single,
    )


def _row_view(row: GridRow, album: videos.Album, single: bool, blobs: dict[str, str]) -> dict[str, Any]:
    tiles = []
    for i, tile in enumerate(row.tiles):
        preview = None if tile.video is None else album.previews.get(tile.video)
        view: dict[str, Any] = {
            "id": f"{row.key}-{i}",
            "title": tile.title,
            "kind": tile.kind,
            "why": tile.why,
            "values": tile.values,
            "series": bool(tile.series),
            "src": None,
            "blob": None,
            "poster": None,
            "alt": f"{tile.title}, {row.title}",
        }
        if preview is not None:
            view |= {
                "width": preview.width,
                "height": preview.height,
                "fps": preview.fps,
                "frames": preview.n_frames,
                "poster": videos.data_uri(preview.poster, "image/jpeg"),
            }
            if preview.video is None:
                view["why"] = "left out to keep the file small"
            elif single:
                name = preview.video.stem
                blobs.setdefault(name, videos.data_uri(preview.video.read_bytes(), "video/mp4").split(",", 1)[1])
                view["blob"] = name
            else:
                view["src"] = f"media/{preview.video.name}"
        elif tile.video is not None and not tile.why:
            view["why"] = "left out to keep the file small"
        tiles.append(view)
    return {"key": row.key, "title": row.title, "transcript": row.transcript, "language": row.language, "tiles": tiles}


def _script_json(data: Any) -> str:
    """JSON that cannot end the <script> element it stands in."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
