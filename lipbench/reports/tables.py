"""From runs to comparison tables: columns chosen, means ranked, reasons numbered; writers do the rest.

Ranks are taken on the rounded value that the reader sees, so that ties look like ties; only means over all clips of
methods (not controls, not published numbers) are ranked, and only inside one group of `--by`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from lipbench.core.errors import NothingComparable, UsageError
from lipbench.core.registry import unknown
from lipbench.reports.aggregate import KEYS, Mean, clip_values, means
from lipbench.reports.frame import Run, combine, load_run
from lipbench.reports.marks import marked
from lipbench.reports.statistics import magnitudes
from lipbench.reports.table import ReportTable, TableColumn, TableEntry, TableRow, shown
from lipbench.reports.writers import WRITERS

#: Metrics measured against the correct video stand in a table of their own.
TRUTH = "_truth"
#: What is said of a run whose cells are not all finished.
UNFINISHED = "the run goes on, or was stopped; the same `lipbench run` finishes it"
#: Below this share of measured frames a number gets a remark.
FEW_FRAMES = 0.9
#: What the dagger of a published row means. Methods of our own registry have the numbers of the LipNeRF paper.
PUBLISHED = "† as published (built-in methods: Table I of the LipNeRF paper, FG 2023), on other data; not ranked"


def build(
    run: Run,
    *,
    by: Sequence[str] = (),
    metrics: Sequence[str] = (),
    everything: bool = False,
    paper: bool = False,
    definitions: bool = False,
    mark: str = "ranks",
) -> list[ReportTable]:
    """The tables of a run: the main one, and one against the truth when it has numbers.

    Args:
        by: words of KEYS; rows are kept apart by them.
        metrics: ids or patterns of the columns; the headline metrics when empty.
        everything: all metrics of the run as columns.
        paper: add the methods' published numbers, never ranked.
        definitions: say below the table exactly what each column measures.
        mark: "ranks" marks the best three; "significant" the best and all that the clips do not tell from it.

    Raises:
        NothingComparable: no cells.
        UnknownName: a metric that the run does not have.
        UsageError: paper numbers with `by`.
    """
    if paper and by:
        raise UsageError("published numbers are over a whole data set", "they have no rows by clip", "leave out --by")
    if run.frame.empty:
        raise NothingComparable(f"{run.name} has no cells", "nothing was asked for", "check the run file's filters")
    data, remarks = _one_length(magnitudes(run).assign(sound=run.sound), by)
    columns = [KEYS[word] for word in by]
    values = clip_values(data, columns)
    numbers = means(values, columns)
    groups = _groups(data, columns)
    main, truth = _columns(run, metrics, everything)
    partial = [] if run.finished.all else [f"{run.finished.words}: {UNFINISHED}"]
    lines = (*partial, *remarks, *_states(data), *_carried(run))
    tables = [_table(run, tuple(by), "", main, numbers, groups, paper, lines)] if main else []
    if truth:
        tables.append(_table(run, tuple(by), "truth", truth, numbers, groups, paper, () if main else lines))
    tables = [replace(table, finished=run.finished) for table in tables]
    if mark == "significant":
        tables = [marked(table, values) for table in tables]
    return [_defined(table) for table in tables] if definitions else tables


def _defined(table: ReportTable) -> ReportTable:
    lines = (f"{column.title}: {column.convention}" for column in table.columns if column.convention)
    return replace(table, remarks=(*table.remarks, *lines))


def _one_length(data: pd.DataFrame, by: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Of several train lengths the longest, unless rows are kept apart by them."""
    lengths = data["train_seconds"].drop_duplicates()
    if "seconds" in by or len(lengths) < 2:
        return data, []
    whole = lengths.isna().any()
    keep = data["train_seconds"].isna() if whole else data["train_seconds"] == lengths.max()
    name = "the whole clip" if whole else f"{lengths.max():g} s"
    return data[keep], [f"trained on {name}; `--by seconds` shows all {len(lengths)} train lengths"]


def _groups(data: pd.DataFrame, columns: list[str]) -> list[tuple[tuple[Any, ...], int]]:
    """(key values, clips asked for) in reading order: names by alphabet, lengths by size, the whole clip last."""
    count: dict[tuple[Any, ...], set[str]] = {}
    for *key, clip in data[[*columns, "clip"]].drop_duplicates().itertuples(index=False, name=None):
        plain = tuple(None if isinstance(v, float) and math.isnan(v) else v for v in key)
        count.setdefault(plain, set()).add(clip)
    ordered = sorted(count, key=lambda key: [(v is None, v if v is not None else 0) for v in key])
    return [(key, len(count[key])) for key in ordered]


def _columns(run: Run, wanted: Sequence[str], everything: bool) -> tuple[list[str], list[str]]:
    """Metric ids of the main table and of the one against the truth."""
    for pattern in wanted:
        if not any(fnmatchcase(name, pattern) for name in run.metrics):
            raise unknown("metrics", pattern, list(run.metrics))
    if wanted:
        chosen = [name for name in run.metrics if any(fnmatchcase(name, pattern) for pattern in wanted)]
    else:
        chosen = [name for name in run.metrics if everything or _headline(run, name)] or list(run.metrics)
    main = [name for name in chosen if not name.endswith(TRUTH)]
    measured = set(run.frame.loc[run.frame["value"].notna(), "metric"])
    truth = [name for name in chosen if name.endswith(TRUTH) and (wanted or name in measured)]
    return main, truth


def _headline(run: Run, name: str) -> bool:
    base = run.metrics.get(name.removesuffix(TRUTH), {})
    return bool(run.metrics[name].get("headline", True) or (name.endswith(TRUTH) and base.get("headline", False)))


def _states(data: pd.DataFrame) -> list[str]:
    cells = data[["method", "clip", "dub", "train_seconds", "seed", "status"]].drop_duplicates()
    bad = Counter(cells.loc[cells["status"] != "ok", "status"])
    if not bad:
        return []
    parts = ", ".join(f"{n} {status}" for status, n in bad.most_common())
    return [f"{bad.total()} of {len(cells)} cells have no video: {parts}"]


def _carried(run: Run) -> list[str]:
    """What scores carry beside their numbers, once for each method and text."""
    cells = run.frame[["method", "clip", "dub", "train_seconds", "seed"]].drop_duplicates()["method"].value_counts()
    return [
        f"{_title(run.methods[label])}: {text} ({n} of {cells[label]} videos)"
        for (label, text), n in run.remarks.items()
    ]


def _table(
    run: Run,
    by: tuple[str, ...],
    against: str,
    ids: list[str],
    numbers: Mapping[tuple[Any, ...], Mean],
    groups: list[tuple[tuple[Any, ...], int]],
    paper: bool,
    remarks: tuple[str, ...],
) -> ReportTable:
    columns = _titled([_column(run.metrics[name]) for name in ids])
    order = sorted(run.methods, key=lambda label: _place(run.methods[label]))
    rows: list[TableRow] = []
    for key, clips in groups:
        group = []
        for label in order:
            absent = Mean(None, 0, clips, ("some cells are not in the run",))
            entries = {c.id: TableEntry(numbers.get((label, *key, c.id), absent)) for c in columns}
            method = run.methods[label]
            group.append(TableRow(label, _title(method), str(method["kind"]), key, clips, entries))
        rows += _ranked(group, columns)
    rows, notes = _noted(rows, columns)
    lines = [*remarks, *_remarks(rows, columns)]
    if paper:
        published = _paper_rows([run.methods[label] for label in order], columns)
        rows += published
        lines.append(PUBLISHED if published else "no published numbers are known")
    sync_model_note = _sync_model_note(run)
    return ReportTable(
        run.name,
        run.sync_model,
        sync_model_note,
        run.protocol,
        by,
        against,
        tuple(columns),
        tuple(rows),
        tuple(notes),
        tuple(lines),
    )


def _column(spec: Mapping[str, Any]) -> TableColumn:
    return TableColumn(
        str(spec["id"]),
        str(spec["title"]),
        str(spec.get("unit") or ""),
        str(spec["better"]),
        int(spec["decimals"]),
        str(spec.get("convention") or ""),
    )


def _titled(columns: list[TableColumn]) -> list[TableColumn]:
    """Columns with one title each: where two share one, the id tells them apart."""
    count = Counter(column.title for column in columns)
    return [replace(c, title=f"{c.title} ({c.id})") if count[c.title] > 1 else c for c in columns]


def _place(method: Mapping[str, Any]) -> int:
    """Methods, then controls, `dubbed` (the source itself) last."""
    return 0 if method["kind"] != "control" else 2 if method["id"] == "dubbed" else 1


def _title(method: Mapping[str, Any]) -> str:
    """The label that somebody chose, else the method's title."""
    return str(method["title"] if method["label"] == method["id"] and method.get("title") else method["label"])


def _ranked(rows: list[TableRow], columns: list[TableColumn]) -> list[TableRow]:
    """Ranks 1 to 3 per column among the methods with a complete mean; none when there is only one."""
    for column in columns:
        if column.better not in ("higher", "lower", "zero"):
            continue
        worth: dict[int, float] = {}
        for i, row in enumerate(rows):
            mean = row.entries[column.id].mean.mean
            if row.kind == "method" and mean is not None:
                seen = float(shown(mean, column.decimals))
                worth[i] = -seen if column.better == "higher" else abs(seen) if column.better == "zero" else seen
        if len(worth) < 2:
            continue
        for i, own in worth.items():
            rank = 1 + sum(other < own for other in worth.values())
            if rank <= 3:
                entry = replace(rows[i].entries[column.id], rank=rank)
                rows[i] = replace(rows[i], entries={**rows[i].entries, column.id: entry})
    return rows


def _noted(rows: list[TableRow], columns: list[TableColumn]) -> tuple[list[TableRow], list[str]]:
    """Number the reasons of missing numbers in reading order, one number per text."""
    notes: list[str] = []
    done = []
    for row in rows:
        entries = dict(row.entries)
        for column in columns:
            entry = entries[column.id]
            notes += [text for text in entry.mean.reasons if text not in notes]
            entries[column.id] = replace(entry, notes=tuple(notes.index(text) + 1 for text in entry.mean.reasons))
        done.append(replace(row, entries=entries))
    return done, notes


def _remarks(rows: list[TableRow], columns: list[TableColumn]) -> list[str]:
    lines = []
    if controls := list(dict.fromkeys(row.title for row in rows if row.kind == "control")):
        lines.append(f"controls, not ranked: {', '.join(controls)}")
    few = []
    for row in rows:
        for column in columns:
            mean = row.entries[column.id].mean
            if mean.mean is not None and mean.n_valid < FEW_FRAMES * mean.n_total:
                few.append(f"{row.title} {column.title} {mean.n_valid}/{mean.n_total}")
    if few:
        more = f" and {len(few) - 4} more" if len(few) > 4 else ""
        lines.append(f"measured on part of the frames: {', '.join(few[:4])}{more}")
    if zero := [column.title for column in columns if column.better == "zero"]:
        lines.append(f"mean of magnitudes: {', '.join(zero)}")
    return lines


def _paper_rows(methods: Sequence[Mapping[str, Any]], columns: list[TableColumn]) -> list[TableRow]:
    """One row for each method that has published numbers, however many rows of ours it has."""
    found: dict[tuple[Any, ...], TableRow] = {}
    for method in methods:
        row = _paper_row(method, columns)
        if row is not None:
            found.setdefault((row.title, *(row.entries[c.id].mean.mean for c in columns)), row)
    return list(found.values())


def _paper_row(method: Mapping[str, Any], columns: list[TableColumn]) -> TableRow | None:
    results = method.get("paper_results") or {}
    if not any(results.get(column.id) is not None for column in columns):
        return None
    entries = {
        c.id: TableEntry(Mean(None if results.get(c.id) is None else float(results[c.id]), 0, 0)) for c in columns
    }
    return TableRow(str(method["label"]), f"{method.get('title') or method['label']} †", "paper", (), 0, entries)


def _sync_model_note(run: Run) -> str:
    """Whether the sync model's numbers are missing because its weights are."""
    lse = run.frame[run.frame["metric"].str.startswith("lse_")]
    if lse.empty or lse["value"].notna().any():
        return ""
    return "weights missing" if lse["reason"].astype(str).str.contains("weights_missing").any() else "no numbers"


def load(run_dirs: Sequence[str | Path | Run]) -> Run:
    """The runs of one table; raises as `load_run` and `combine`."""
    return combine([given if isinstance(given, Run) else load_run(given) for given in run_dirs])


def table_text(*run_dirs: str | Path | Run, format: str = "md", **options: Any) -> str:
    """The tables of run directories, or of runs that are loaded, as text.

    Args:
        format: md, tex, csv or json.
        options: as for `build`.
    """
    return WRITERS[format](build(load(run_dirs), **options))
