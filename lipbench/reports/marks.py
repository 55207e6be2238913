"""Marks that heed chance: instead of ranks, all methods that the clips do not tell from the best."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from lipbench.reports.aggregate import KEYS
from lipbench.reports.table import SIGNIFICANT, ReportTable, TableRow


def marked(table: ReportTable, values: pd.DataFrame) -> ReportTable:
    """A table whose rank 1 goes to the best method and all not significantly worse, per column and group of rows.

    Args:
        values: as `clip_values` makes them, with the table's `by`.

    A group of one clip gets no marks, one clip tells nothing apart; nor does a method that is the only complete one.
    """
    from lipbench.reports.statistics import not_worse_than_best

    columns = [KEYS[word] for word in table.by]
    methods = {row.method for row in table.rows if row.kind == "method"}
    known: dict[tuple[Any, ...], dict[str, dict[str, float | None]]] = {}
    chosen = values[values["method"].isin(methods)]
    for row in chosen[[*columns, "metric", "method", "clip", "value"]].itertuples(index=False, name=None):
        *key, method, clip, value = row
        at = tuple(None if isinstance(v, float) and math.isnan(v) else v for v in key)
        known.setdefault(at, {}).setdefault(method, {})[clip] = None if math.isnan(value) else value
    best = {}
    for column in table.columns:
        for keys in {row.keys for row in table.rows if row.kind == "method"}:
            own = known.get((*keys, column.id), {})
            clips = {clip for line in own.values() for clip in line}
            full = [m for m, line in own.items() if all(line.get(clip) is not None for clip in clips)]
            if len(full) > 1 and len(clips) > 1:
                best[keys, column.id] = not_worse_than_best(own, column.better)
    rows = tuple(_marked(row, best) for row in table.rows)
    few = [row.clips for row in table.rows if row.kind == "method" and row.clips < 6]
    line = f"with {min(few)} clips nothing can be significant at 5 %: marks need 6" if few else None
    return replace(table, rows=rows, legend=SIGNIFICANT, remarks=(*table.remarks, *([line] if line else [])))


def _marked(row: TableRow, best: Mapping[tuple[Any, str], frozenset[str]]) -> TableRow:
    if row.kind != "method":
        return row
    entries = {
        name: replace(entry, rank=1 if row.method in best.get((row.keys, name), ()) else None)
        for name, entry in row.entries.items()
    }
    return replace(row, entries=entries)
