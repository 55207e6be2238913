"""Tables as LaTeX: booktabs, and macros for the marks that a paper's preamble may define otherwise."""

from __future__ import annotations

import math
import re

from lipbench.reports.plain import without_paths
from lipbench.reports.table import (
    HEADS,
    SIGNIFICANT,
    ReportTable,
    TableColumn,
    TableEntry,
    TableRow,
    caption,
    key_text,
    shown,
)

ARROWS = {"higher": r" $\uparrow$", "lower": r" $\downarrow$", "zero": r" $\rightarrow$0", "none": ""}
MARKS = {1: r"\lbfirst{%s}", 2: r"\lbsecond{%s}", 3: r"\lbthird{%s}", None: "%s"}
# Only what the default encoding (OT1) has: no textquotedbl, no textasciigrave.
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": "'",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "†": r"\textdagger{}",
    "×": r"$\times$",
    "±": r"$\pm$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "µ": r"$\mu$",
    "²": r"\textsuperscript{2}",
    "’": "'",
    "“": "``",
    "”": "''",
}


def escape(text: str) -> str:
    """Plain text as LaTeX. Letters beyond ASCII stay: LaTeX reads UTF-8."""
    return "".join(_ESCAPES.get(c, c) for c in re.sub(r"\s+", " ", text))


def latex(tables: list[ReportTable]) -> str:
    """One `table` environment per table; input it with \\input."""
    paper = any(row.kind == "paper" for table in tables for row in table.rows)
    return preamble(paper) + "\n" + "\n".join(_table(table) for table in tables)


def preamble(paper: bool) -> str:
    """What a file of tables begins with: the packages that it needs, and the marks, which a paper may define before.

    Args:
        paper: published numbers are in it.
    """
    head = [
        r"% needs \usepackage{booktabs}" + (r" \usepackage{xcolor}" if paper else ""),
        r"\providecommand{\lbfirst}[1]{\textbf{#1}}",
        r"\providecommand{\lbsecond}[1]{\underline{#1}}",
        r"\providecommand{\lbthird}[1]{\textit{#1}}",
    ]
    if paper:
        head.append(r"\providecommand{\lbpaper}[1]{\textcolor{gray}{#1}}")
    return "\n".join(head)


def _table(table: ReportTable) -> str:
    what = f"{table.run}, against the {table.against}" if table.against else table.run
    heads = ["method", *(HEADS[word] for word in table.by), "clips"]
    align = "l" * (1 + len(table.by)) + "r" * (1 + len(table.columns))
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape(what)}: {escape(caption(table))}.}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join([*heads, *(_head(column) for column in table.columns)]) + r" \\",
    ]
    before: tuple[object, str] | None = None
    for row in table.rows:
        section = (row.keys, row.kind)
        if section != before:
            lines.append(r"\midrule")
        before = section
        keys = [escape(key_text(word, value)) for word, value in zip(table.by, row.keys, strict=False)]
        clips = str(row.clips) if row.kind != "paper" else ""
        numbers = [_cell(row, row.entries[column.id], column) for column in table.columns]
        lines.append(" & ".join([_gray(row, escape(row.title)), *keys, clips, *numbers]) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    below = [rf"\textsuperscript{{{i}}} {escape(without_paths(note))}" for i, note in enumerate(table.notes, 1)]
    if table.legend == SIGNIFICANT and any(entry.rank for row in table.rows for entry in row.entries.values()):
        below.append(escape(table.legend).replace(r"\{first\}", r"\lbfirst{marked}"))
    below += [escape(without_paths(remark)) for remark in table.remarks]
    if below:
        lines += ["", r"\smallskip", r"\footnotesize", r"\raggedright", "\n\n".join(below)]
    lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _head(column: TableColumn) -> str:
    return escape(column.title) + ARROWS[column.better] + (rf" [{escape(column.unit)}]" if column.unit else "")


def _cell(row: TableRow, entry: TableEntry, column: TableColumn) -> str:
    mean = entry.mean
    note = rf"\textsuperscript{{{','.join(map(str, entry.notes))}}}" if entry.notes else ""
    if mean.mean is None:
        return _gray(row, f"{mean.n}/{mean.total}{note}" if mean.n else f"--{note}")
    sign = "-" if mean.mean < 0 else ""
    text = rf"${sign}\infty$" if math.isinf(mean.mean) else shown(mean.mean, column.decimals)
    if text.startswith("-"):
        text = f"${text}$"
    return _gray(row, MARKS[entry.rank] % text)


def _gray(row: TableRow, text: str) -> str:
    return rf"\lbpaper{{{text}}}" if row.kind == "paper" else text
