"""An index over the reports of several runs: what each says first, and how the numbers went."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from lipbench.reports import trend, trend_charts
from lipbench.reports.details import Details
from lipbench.reports.html.grid import headline
from lipbench.reports.html.pages import Page, Section, write_page
from lipbench.reports.html.verdict import banner, read_gate

#: Charts of an index at most.
MAX_CHARTS = 6


def write_index(reports: Sequence[tuple[Path, Path]], out: Path) -> Path:
    """Write out/index.html.

    Args:
        reports: (run directory, its page).
        out: folder.

    Raises:
        UsageError, StoreError: as `load_run`.
    """
    sections = []
    for root, page in reports:
        details = Details(root)
        found = root / "gate.json"
        told = banner(details, headline(details), read_gate(found) if found.exists() else None)
        where = Path(_relative(page, out)).as_posix()
        sections.append(
            Section(root.resolve().name, [f"{told.title}. {told.size}"], facts=[("page", page.parent.name, where)])
        )
    drawings = _drawings([root for root, _ in reports])
    if drawings:
        note = "Means over clips, run after run; a line breaks where two runs cannot be compared."
        sections.append(Section("Trend", [note], drawings=drawings))
    write_page(out / "index.html", Page("Runs", sections))
    return out / "index.html"


def _relative(page: Path, out: Path) -> str:
    import os

    return os.path.relpath(page.resolve(), out.resolve())


def _drawings(roots: Sequence[Path]) -> list[tuple[str, str]]:
    """A chart for each headline metric that two runs have."""
    data = trend.collect(roots)
    own = data[data["headline"] & data["mean"].notna()]
    shared = [
        m
        for m in dict.fromkeys(own["metric"])
        if own.loc[own["metric"] == m, ["run", "when"]].drop_duplicates().shape[0] > 1
    ]
    with tempfile.TemporaryDirectory() as scratch:
        files = trend_charts.draw(data, shared[:MAX_CHARTS], Path(scratch))
        titles = dict(zip(own["metric"], own["title"], strict=True))
        return [(str(titles[file.stem]), _svg(file)) for file in files]


def _svg(file: Path) -> str:
    text = file.read_text(encoding="utf-8")
    return text[text.index("<svg") :].replace("<svg ", f'<svg role="img" aria-label="Trend of {file.stem}" ', 1)
