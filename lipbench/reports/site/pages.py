"""The pages of the site."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench.core.errors import UsageError
from lipbench.reports import plain
from lipbench.reports.details import title_of
from lipbench.reports.frame import Run
from lipbench.reports.html import facts
from lipbench.reports.html.pages import Page, Section, write_page
from lipbench.reports.html.videos import free_names
from lipbench.reports.leading import compact_ids
from lipbench.reports.site.boards import Board, boards, slug
from lipbench.reports.table import ReportTable, TableRow
from lipbench.reports.tables import build

#: What makes the numbers of a run's folder again.
RECORDS = ("run.json", "cells.jsonl")


@dataclass(frozen=True)
class Site:
    """What `write` made. `pages`: how many html files."""

    index: Path
    pages: int
    boards: int
    runs: int


def write(run_dirs: Sequence[str | Path], out: str | Path, title: str = "Lip-sync leaderboard") -> Site:
    """Write the leaderboard of run directories.

    Args:
        out: folder; files of an earlier site in it are replaced, others stay.
        title: of the first page.

    Raises:
        UsageError: no run directory.
        UsageError, StoreError: as `load_run`.
        NothingComparable: a run without cells.
    """
    if not run_dirs:
        raise UsageError("a site needs runs", "no run directory was named", "name those that `lipbench run` wrote")
    found, root = boards(run_dirs), Path(out)
    copied = _records(found, root)
    labels = list(dict.fromkeys(label for board in found for label in board.run.methods))
    methods = dict(zip(labels, free_names([slug(label) for label in labels]), strict=True))
    sections = []
    for board in found:
        table, legend = _board(board.run, lambda row: f"method/{methods[row.method]}.html")
        sections.append(
            Section(
                board.title,
                [_size(board)],
                table,
                facts=[("data set and records", board.title, f"dataset/{board.name}.html")],
            )
        )
        write_page(root / "dataset" / f"{board.name}.html", _dataset(board, methods, copied, legend))
    for label, name in methods.items():
        write_page(root / "method" / f"{name}.html", _method(label, found, copied))
    hint = "gray rows are references and published numbers: never ranked"
    write_page(root / "index.html", Page(title, sections, hint=hint))
    return Site(root / "index.html", 1 + len(found) + len(methods), len(found), len(copied))


def _records(found: Sequence[Board], root: Path) -> dict[Path, str]:
    """Copies what the numbers are made from: run directory -> its folder in the site."""
    runs = [run.roots[0] for board in found for run in board.runs]
    copied = dict(zip(runs, free_names([slug(run.name) for run in runs]), strict=True))
    for run, name in copied.items():
        target = root / "runs" / name
        target.mkdir(parents=True, exist_ok=True)
        for file in RECORDS:
            if (run / file).exists():
                shutil.copyfile(run / file, target / file)
    return copied


def _board(run: Run, address: Any) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The table of a board, rows linked, with published numbers; and what its columns mean."""
    measured = set(run.frame.loc[run.frame["value"].notna(), "metric"])
    ids = [name for name, spec in run.metrics.items() if spec.get("headline", True) and name in measured]
    chosen = compact_ids(run.metrics, ids)
    if not chosen:
        return {"title": "", "caption": "", "heads": [], "rows": [], "notes": [], "remarks": []}, []
    tables = build(run, metrics=chosen, paper=True)
    table = facts.compact_view(tables, chosen)
    for row, view in zip(tables[0].rows, table["rows"], strict=True):
        view["cells"][0]["href"] = address(row)
        if row.kind == "paper":
            _compared(view["cells"][2:], [run.metrics[name] for name in chosen])
    table["rows"] = [
        view
        for view in table["rows"]
        if view["kind"] != "paper" or any(cell["sort"] != "" for cell in view["cells"][2:])
    ]
    source = _papers(run, tables[0])
    return {**table, "remarks": [f"† published, on other data: {'; '.join(source)}"] if source else []}, facts.legend(
        run, chosen
    )


def _compared(cells: Sequence[dict[str, Any]], specs: Sequence[Any]) -> None:
    """Takes published numbers out of the columns whose metric says that none compares, as under another sync model."""
    for cell, spec in zip(cells, specs, strict=True):
        if not spec.get("published", "yes"):
            cell |= {"text": "–", "sort": ""}


def _papers(run: Run, table: ReportTable) -> list[str]:
    """Where published numbers come from."""
    rows: list[TableRow] = [row for row in table.rows if row.kind == "paper"]
    external = [str(run.methods[row.method].get("paper") or "") for row in rows if run.methods[row.method].get("file")]
    return list(dict.fromkeys(filter(None, [("Table I of the LipNeRF paper, FG 2023" if rows else ""), *external])))


def _size(board: Board) -> str:
    run = board.run
    clips, languages = run.frame["clip"].nunique(), run.frame["language"].nunique()
    parts = [plain.many(clips, "clip"), plain.many(languages, "language"), plain.many(len(board.runs), "run")]
    return ", ".join(parts) + ("" if run.finished.all else f"; {run.finished.words}")


def _dataset(board: Board, methods: dict[str, str], copied: dict[Path, str], legend: list[dict[str, str]]) -> Page:
    table, _ = _board(board.run, lambda row: f"../method/{methods[row.method]}.html")
    about = board.about[0]
    corpus = about.get("corpus") or {}
    licence = (corpus.get("licence") or {}).get("id", "")
    known = [
        ("manifest", str(about.get("manifest") or ""), ""),
        ("manifest, SHA-256", str(about.get("manifest_digest") or ""), ""),
        ("licence", str(licence), ""),
        ("sync model", board.run.sync_model, ""),
        ("protocol", board.run.protocol, ""),
        ("clips", ", ".join(sorted(set(board.run.frame["clip"]))), ""),
    ]
    records = []
    for run in board.runs:
        name = copied[run.roots[0]]
        records += [(f"{run.name}: {file}", f"runs/{name}/{file}", f"../runs/{name}/{file}") for file in RECORDS]
        records.append((f"{run.name}: the table again", f"lipbench table runs/{name} --all", ""))
    return Page(
        board.title,
        [
            Section("Results", [_size(board)], table, legend),
            Section("Data set", facts=[row for row in known if row[1]]),
            Section("Records", ["Every number here is made from these files."], facts=records),
        ],
        up=[("All results", "../index.html")],
    )


def _method(label: str, found: Sequence[Board], copied: dict[Path, str]) -> Page:
    sections, about = [], {}
    title = label
    for board in found:
        if label not in board.run.methods:
            continue
        about = dict(board.run.methods[label])
        title = title_of(board.run.methods, label)
        table, legend = _board(board.run, lambda row: "")
        own = [
            row for row in table["rows"] if row["cells"][0]["text"].removesuffix(" †") in (title, about.get("title"))
        ]
        sections.append(
            Section(
                board.title,
                [],
                {**table, "rows": own},
                legend,
                [("all methods", board.title, f"../dataset/{board.name}.html")],
            )
        )
    known = [("id", str(about.get("id") or ""), ""), ("version", str(about.get("version") or ""), "")]
    known += [("paper", str(about.get("paper") or ""), ""), ("licence", str(about.get("licence") or ""), "")]
    sections.append(Section("The method", facts=[row for row in known if row[1]]))
    if about.get("deviations"):
        sections.append(Section("Known differences from the published one", about["deviations"], folded=True))
    return Page(title, sections, up=[("All results", "../index.html")])
