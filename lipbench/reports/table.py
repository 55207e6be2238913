"""What a comparison table is: rows are methods, columns metrics; ranks and reasons worked out, nothing formatted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lipbench.reports.aggregate import Mean

#: --by word -> column head.
HEADS = {"clip": "clip", "lang": "language", "seconds": "train length", "sound": "sound"}

#: What marks mean: `{first}`, `{second}`, `{third}` are set in each format's own way.
RANKED = "best {first}, second {second}, third {third}, ranked on the rounded value"
SIGNIFICANT = (
    "{first}: the best, and all that a paired sign-flip test over clips does not tell from it (5 %, Holm-corrected)"
)


@dataclass(frozen=True)
class TableColumn:
    """A metric as a column. `title` is unique in its table."""

    id: str
    title: str
    unit: str
    better: str
    decimals: int
    convention: str


@dataclass(frozen=True)
class TableEntry:
    """One number of a table: its mean, its rank (1, 2, 3 or None) and the footnotes that say why there is none."""

    mean: Mean
    rank: int | None = None
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class TableRow:
    """A line of a table.

    Attributes:
        method: label of the run.
        title: for people.
        kind: method, control or paper (published numbers).
        keys: values of the table's `by`, in its order; None as train length is the whole clip.
        clips: clips that the row's numbers are over; 0 for paper rows.
        entries: metric id -> number.
    """

    method: str
    title: str
    kind: str
    keys: tuple[Any, ...]
    clips: int
    entries: Mapping[str, TableEntry]


@dataclass(frozen=True)
class ReportTable:
    """One table, ready for a writer.

    Attributes:
        sync_model_note: "" or what is wrong with the sync model ("weights missing").
        by: words of `KEYS`.
        against: "" or "truth": what reference metrics compare with, where it is not the source.
        notes: footnote texts; an entry's `notes` are their 1-based numbers.
        remarks: lines below the table.
        legend: what the marks of ranks mean.
    """

    run: str
    sync_model: str
    sync_model_note: str
    protocol: str
    by: tuple[str, ...]
    against: str
    columns: tuple[TableColumn, ...]
    rows: tuple[TableRow, ...]
    notes: tuple[str, ...]
    remarks: tuple[str, ...]
    legend: str = RANKED


def shown(value: float, decimals: int) -> str:
    """A number as tables print it; zero has no sign, infinity is "inf"."""
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text


def caption(table: ReportTable) -> str:
    """What every table says of itself: "sync model: demo (weights missing), protocol: realvideo"."""
    sync_model = f"sync model: {table.sync_model}" + (f" ({table.sync_model_note})" if table.sync_model_note else "")
    return sync_model + (f", protocol: {table.protocol}" if table.protocol else "")


def key_text(word: str, value: Any) -> str:
    """A value of `--by` for people."""
    if word != "seconds":
        return str(value)
    return "whole clip" if value is None else f"{value:g} s"


def entry_at(table: ReportTable, first: ReportTable, i: int, column: TableColumn) -> TableEntry:
    """The entry of row `i` of `first` in another table of the same run; only published rows can lack one."""
    if first.rows[i].kind != "paper":
        return table.rows[i].entries[column.id]
    same = (row for row in table.rows if row.kind == "paper" and row.method == first.rows[i].method)
    found = next(same, None)
    return TableEntry(Mean(None, 0, 0)) if found is None else found.entries[column.id]
