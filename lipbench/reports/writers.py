"""Tables as Markdown, CSV and JSON text. LaTeX is in `lipbench.reports.latex`."""

from __future__ import annotations

import csv
import io
import json
import math
import unicodedata
from collections.abc import Callable
from typing import Any

from lipbench.reports.aggregate import KEYS
from lipbench.reports.latex import latex
from lipbench.reports.table import (
    HEADS,
    ReportTable,
    TableColumn,
    TableEntry,
    TableRow,
    caption,
    entry_at,
    key_text,
    shown,
)

ARROWS = {"higher": " ↑", "lower": " ↓", "zero": " →0", "none": ""}
_MARK_NAMES = {"first": "**bold**", "second": "<u>underlined</u>", "third": "*italic*"}
_MARKS = {1: "**{}**", 2: "<u>{}</u>", 3: "*{}*", None: "{}"}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


# ---- Markdown -------------------------------------------------------------------------------------------------


def markdown(tables: list[ReportTable]) -> str:
    """GitHub Markdown, padded so that it reads in a terminal too."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: ReportTable) -> str:
    head = f"**{table.run}**" + (f", against the {table.against}" if table.against else "")
    lines = [f"{head}: {caption(table)}", ""]
    heads = ["method", *(HEADS[word] for word in table.by), "clips", *(_head(column) for column in table.columns)]
    body = [heads]
    for row in table.rows:
        keys = [key_text(word, value) for word, value in zip(table.by, row.keys, strict=False)]
        numbers = [_cell(row.entries[column.id], column) for column in table.columns]
        body.append([row.title, *keys, str(row.clips) if row.kind != "paper" else "", *numbers])
    body = [[cell.replace("|", "\\|") for cell in line] for line in body]
    left = 1 + len(table.by)
    widths = [max(3, *(_width(line[i]) for line in body)) for i in range(len(heads))]
    for number, line in enumerate(body):
        cells = [_pad(line[i], width, right=i >= left) for i, width in enumerate(widths)]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            rules = ["-" * (w - 1) + ":" if i >= left else "-" * w for i, w in enumerate(widths)]
            lines.append("| " + " | ".join(rules) + " |")
    lines.append("")
    remarks = list(table.remarks)
    if any(entry.rank for row in table.rows for entry in row.entries.values()):
        remarks.insert(0, table.legend.format(**_MARK_NAMES))
    lines += [f"- {superscript(i)} {note}" for i, note in enumerate(table.notes, 1)]
    lines += [f"- {remark}" for remark in remarks]
    return "\n".join(lines).rstrip() + "\n"


def _head(column: TableColumn) -> str:
    return column.title + ARROWS[column.better] + (f" [{column.unit}]" if column.unit else "")


def _cell(entry: TableEntry, column: TableColumn) -> str:
    mean, note = entry.mean, ",".join(map(superscript, entry.notes))
    if mean.mean is not None:
        return _MARKS[entry.rank].format(shown(mean.mean, column.decimals))
    return f"{mean.n}/{mean.total}{note}" if mean.n else f"–{note}"


def superscript(number: int) -> str:
    return str(number).translate(_SUPERSCRIPTS)


def _width(text: str) -> int:
    """Columns that a terminal needs."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


# ---- CSV ------------------------------------------------------------------------------------------------------


def csv_text(tables: list[ReportTable]) -> str:
    """One line per row: means in full precision (empty = none), clips behind each mean, frames measured and seen."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    first = tables[0]
    columns = [(table, column) for table in tables for column in table.columns]
    heads = ["run", "sync_model", "method", "kind", *(KEYS[word] for word in first.by), "clips"]
    writer.writerow(heads + [c.id + end for _, c in columns for end in ("", "_n", "_frames_valid", "_frames_total")])
    for i, row in enumerate(first.rows):
        keys = ["" if value is None else value for value in row.keys]
        line: list[Any] = [first.run, first.sync_model, row.method, row.kind, *keys, row.clips]
        for table, column in columns:
            mean = entry_at(table, first, i, column).mean
            line += ["" if mean.mean is None else mean.mean, mean.n, mean.n_valid, mean.n_total]
        writer.writerow(line)
    return out.getvalue()


# ---- JSON -----------------------------------------------------------------------------------------------------


def json_text(tables: list[ReportTable]) -> str:
    """{"run", "sync_model", "rows": [{"method", "metrics": {id: {"mean", "n", "total", "reason"}}}]}.

    Rows also have "clip", "language", "train_seconds" when the table is by them, and "paper": true for published
    numbers. JSON has no infinity: such a mean is the string "inf".
    """
    first = tables[0]
    rows = []
    for i, row in enumerate(first.rows):
        metrics = {c.id: _json_mean(entry_at(table, first, i, c)) for table in tables for c in table.columns}
        rows.append({"method": row.method, **_json_keys(row, first.by), "metrics": metrics})
    data = {"run": first.run, "sync_model": first.sync_model, "rows": rows}
    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _json_keys(row: TableRow, by: tuple[str, ...]) -> dict[str, Any]:
    if row.kind == "paper":
        return {"paper": True}
    return dict(zip((KEYS[word] for word in by), row.keys, strict=True))


def _json_mean(entry: TableEntry) -> dict[str, Any]:
    mean = entry.mean
    value: Any = mean.mean
    if value is not None and math.isinf(value):
        value = "inf" if value > 0 else "-inf"
    return {"mean": value, "n": mean.n, "total": mean.total, "reason": mean.reason}


WRITERS: dict[str, Callable[[list[ReportTable]], str]] = {
    "md": markdown,
    "tex": latex,
    "csv": csv_text,
    "json": json_text,
}
