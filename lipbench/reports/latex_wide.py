"""Tables for a paper: one row per method, metrics side by side, on demand a block of columns for each language."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lipbench.core.errors import UsageError
from lipbench.reports import plain
from lipbench.reports.aggregate import clip_values
from lipbench.reports.frame import Run
from lipbench.reports.latex import ARROWS, MARKS, escape, preamble
from lipbench.reports.leading import COMPACT, compact_ids
from lipbench.reports.statistics import longest, magnitudes, mean_interval
from lipbench.reports.table import (
    SIGNIFICANT,
    ReportTable,
    TableColumn,
    TableEntry,
    TableRow,
    entry_at,
    key_text,
    shown,
)
from lipbench.reports.tables import build

LAYOUTS = ("wide", "lipnerf-table-1")
#: Table I of Chatziagapi et al., LipNeRF, FG 2023: its columns, and its rows in their order.
TABLE_1_METRICS = ("lse_d", "lse_c", "psnr_full", "ssim_full", "lpips_full")
TABLE_1_ROWS = ("speech2vid", "makeittalk", "pc-avs", "wav2lip", "ad-nerf", "lipnerf", "dubbed")
TABLE_1_DECIMALS = 2
#: Characters of a footnote.
NOTE = 90

#: (method, language or None, metric) -> half the width of the 95 % t interval over clips.
Halves = Mapping[tuple[str, str | None, str], float]


@dataclass(frozen=True)
class _Group:
    """A block of columns: one language, or all of them."""

    title: str
    key: tuple[str, ...]
    tables: tuple[ReportTable, ...]


def wide(
    run: Run,
    *,
    layout: str = "wide",
    by: Sequence[str] = (),
    metrics: Sequence[str] = (),
    paper: bool = False,
    mark: str = "ranks",
) -> str:
    """A table as LaTeX (booktabs) with caption and label; nothing in it names a folder of this machine.

    Args:
        layout: "wide", with the half width of the 95 % t interval over clips behind each mean; or "lipnerf-table-1":
            the columns and the order of rows of that paper's Table I, two decimals.
        by: ("lang",) makes a block of columns for each language; wide only.
        metrics: ids or patterns of the columns; by default three of lip sync and three of the picture, by language two.
        paper: add published numbers, gray.
        mark: as for `build`.

    Raises:
        UsageError: another layout, `by` that it does not have, or published numbers with `by`.
        UnknownName, NothingComparable: as `build`.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"no layout is called {layout!r}", "", f"one of {', '.join(LAYOUTS)}")
    if [*by] not in ([], ["lang"]) or (by and layout != "wide"):
        raise UsageError(
            f"the layout {layout} has no --by {' '.join(by)}", "", "leave it out, or use --layout wide --by lang"
        )
    if layout == "lipnerf-table-1":
        chosen: Sequence[str] = [name for name in TABLE_1_METRICS if name in run.metrics]
        if metrics or not chosen:
            why = "it has columns of its own" if metrics else f"none of {', '.join(TABLE_1_METRICS)} is in the run"
            raise UsageError("the layout lipnerf-table-1 cannot be made", why, "use --layout wide")
    else:
        headline = [name for name, spec in run.metrics.items() if spec.get("headline", True) and _measured(run, name)]
        room = 2 if by else COMPACT  # a block for each language leaves room for less
        chosen = metrics or compact_ids(run.metrics, headline, room)
    all_tables = build(run, by=by, metrics=chosen, paper=paper, mark=mark)
    if by:
        keys = list(dict.fromkeys(row.keys for row in all_tables[0].rows))
        groups = [
            _Group(key_text("lang", key[0]), tuple(map(str, key)), tuple(_only(t, key) for t in all_tables))
            for key in keys
        ]
        lines = list(groups[0].tables[0].rows)
    else:
        groups = [_Group("", (), tuple(all_tables))]
        lines = [row for row in all_tables[0].rows if row.kind != "paper"]
    published = [row for row in all_tables[0].rows if row.kind == "paper"]
    order = list(chosen) if layout == "lipnerf-table-1" or not metrics else None
    halves = {} if layout == "lipnerf-table-1" else _halves(run, by)
    if layout == "lipnerf-table-1":
        place = {name: i for i, name in enumerate(TABLE_1_ROWS)}
        lines.sort(key=lambda row: (place.get(_id(run, row), len(place) - 1.5), row.kind == "control"))
        published.sort(key=lambda row: place.get(_id(run, row), len(place)))
    return _text(run, layout, groups, lines, published, all_tables, order, halves)


def _measured(run: Run, metric: str) -> bool:
    return bool(run.frame.loc[run.frame["metric"] == metric, "value"].notna().any())


def _id(run: Run, row: TableRow) -> str:
    return str(run.methods[row.method]["id"])


def _only(table: ReportTable, key: tuple[object, ...]) -> ReportTable:
    return replace(table, rows=tuple(row for row in table.rows if row.keys == key))


def _halves(run: Run, by: Sequence[str]) -> Halves:
    data, _ = longest(magnitudes(run))
    columns = ["language"] if by else []
    found = {}
    for key, part in clip_values(data, columns).groupby(["method", *columns, "metric"], sort=False):
        interval = None if part["value"].isna().any() else mean_interval(part["value"].to_numpy())
        if interval is not None:
            method, *language, metric = (str(word) for word in key)
            found[method, language[0] if language else None, metric] = (interval.high - interval.low) / 2
    return found


def _columns(group: _Group, order: Sequence[str] | None) -> list[tuple[ReportTable, TableColumn]]:
    pairs = [(table, column) for table in group.tables for column in table.columns]
    return pairs if order is None else sorted(pairs, key=lambda pair: order.index(pair[1].id))


def _text(
    run: Run,
    layout: str,
    groups: Sequence[_Group],
    lines: Sequence[TableRow],
    published: Sequence[TableRow],
    whole: Sequence[ReportTable],
    order: Sequence[str] | None,
    halves: Halves,
) -> str:
    columns = _columns(groups[0], order)
    width = len(columns) * len(groups)
    star = "*" if layout == "wide" and width > 5 else ""
    out = [preamble(bool(published))]
    out += [
        rf"\begin{{table{star}}}[t]",
        r"\centering",
        rf"\caption{{{_caption(run, layout, groups, bool(halves), whole[0])}}}",
    ]
    out += [rf"\label{{tab:{re.sub(r'[^A-Za-z0-9-]+', '-', run.name).strip('-') or 'run'}}}"]
    out += [
        r"\setlength{\tabcolsep}{3pt}",
        *([r"\footnotesize"] if width > 5 else []),
        rf"\begin{{tabular}}{{l{'r' * width}}}",
        r"\toprule",
    ]
    if len(groups) > 1:
        n = len(columns)
        out.append(" & ".join(["", *(rf"\multicolumn{{{n}}}{{c}}{{{escape(g.title)}}}" for g in groups)]) + r" \\")
        out.append(" ".join(rf"\cmidrule(lr){{{2 + i * n}-{1 + (i + 1) * n}}}" for i in range(len(groups))))
    out.append(" & ".join(["Method", *(_head(c) for _ in groups for _, c in columns)]) + r" \\")
    before = ""
    notes: list[str] = []
    for row in lines:
        if row.kind != before:
            out.append(r"\midrule")
        before = row.kind
        cells = [escape(row.title)]
        for group in groups:
            for table, column in _columns(group, order):
                entry = _entry(group, table, row, column)
                half = halves.get((row.method, group.key[0] if group.key else None, column.id))
                cells.append(_cell(entry, _decimals(layout, column), half, notes))
        out.append(" & ".join(cells) + r" \\")
    for i, row in enumerate(published):
        if not i:
            out.append(r"\midrule")
        cells = [rf"\lbpaper{{{escape(row.title)}}}"]
        for table, column in columns:
            entry = entry_at(table, whole[0], whole[0].rows.index(row), column)
            cells.append(rf"\lbpaper{{{_cell(entry, _decimals(layout, column), None, [])}}}")
        out.append(" & ".join(cells) + r" \\")
    out += [r"\bottomrule", r"\end{tabular}"]
    below = [rf"\textsuperscript{{{i}}}~{escape(plain.reason(note, NOTE))}" for i, note in enumerate(notes, 1)]
    if published:
        below.append(r"\textdagger~as published, on other data; not ranked")
    if below:
        out += ["", r"\smallskip", r"{\footnotesize " + "; ".join(below) + ".}"]
    return "\n".join([*out, rf"\end{{table{star}}}"]) + "\n"


def _entry(group: _Group, table: ReportTable, row: TableRow, column: TableColumn) -> TableEntry:
    """The entry of a method's row in a group's table."""
    return next(own for own in table.rows if own.method == row.method and own.kind == row.kind).entries[column.id]


def _caption(run: Run, layout: str, groups: Sequence[_Group], bands: bool, table: ReportTable) -> str:
    clips = run.frame["clip"].nunique()
    what = "Quantitative results using the dubbed audio" if layout != "wide" else "Results on dubbed clips"
    parts = [f"{what}: means over {plain.many(clips, 'clip')}"]
    if len(groups) > 1:
        parts[0] += f", by language ({plain.listed([group.title for group in groups], 8)})"
    elif run.frame["language"].nunique() > 1:
        parts[0] += f", in {plain.many(run.frame['language'].nunique(), 'language')}"
    if bands:
        parts.append("Small: half width of the 95 % t interval over clips")
    if any(run.metrics[c.id].get("needs") and plain.measures_sync(run.metrics[c.id]) for c in table.columns):
        parts.append(f"Lip sync by the sync model {run.sync_model}")
    legend = r"\lbfirst{Best}, \lbsecond{second} and \lbthird{third} of the methods with every clip"
    if table.legend == SIGNIFICANT:
        legend = r"\lbfirst{Marked}: the best, and all that a paired sign-flip test over clips does not tell from it"
        legend += r" (5\,\%, Holm)"
    return ". ".join([*(escape(part) for part in parts), legend]) + "."


def _decimals(layout: str, column: TableColumn) -> int:
    return TABLE_1_DECIMALS if layout == "lipnerf-table-1" else column.decimals


def _head(column: TableColumn) -> str:
    return escape(column.title) + ARROWS[column.better]


def _cell(entry: TableEntry, decimals: int, half: float | None, notes: list[str]) -> str:
    mean = entry.mean
    if mean.mean is None:
        marks = []
        for text in mean.reasons:
            if text not in notes:
                notes.append(text)
            marks.append(str(notes.index(text) + 1))
        sup = rf"\textsuperscript{{{','.join(marks)}}}" if marks else ""
        return (f"{mean.n}/{mean.total}" if mean.n else "--") + sup
    if math.isinf(mean.mean):
        return rf"${'-' if mean.mean < 0 else ''}\infty$"
    text = shown(mean.mean, decimals)
    text = MARKS[entry.rank] % (f"${text}$" if text.startswith("-") else text)
    return text if half is None else rf"{text}\,{{\tiny$\pm${shown(half, decimals)}}}"
