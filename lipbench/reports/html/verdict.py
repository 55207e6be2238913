"""What the page says first: the gate's verdict when there is one, else how complete the run is and who leads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench.core.errors import StoreError
from lipbench.reports import statistics
from lipbench.reports.details import Details, title_of
from lipbench.reports.table import shown
from lipbench.reports.tables import UNFINISHED

GATE_SCHEMA = 1
_LOOKS = {0: "good", 1: "bad", 3: "warn", 4: "warn"}


@dataclass(frozen=True)
class Banner:
    """The verdict. `look` is good, bad, warn or plain."""

    look: str
    title: str
    lines: tuple[str, ...]


def read_gate(path: Path) -> dict[str, Any]:
    """The answer that `lipbench gate --output` wrote.

    Raises:
        StoreError: unreadable, or of another schema.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}", str(error), "name the file of `lipbench gate --output`") from error
    if data.get("schema") != GATE_SCHEMA or "verdict" not in data:
        raise StoreError(
            f"{path} is not a verdict of the gate",
            f"schema {data.get('schema')}",
            "write it with `lipbench gate --output`",
        )
    return data


def banner(details: Details, ids: Sequence[str], gate: dict[str, Any] | None) -> Banner:
    """What stands on top of the page. `ids`: the metrics that it leads with."""
    state = completeness(details)
    if gate is not None:
        lines = [str(gate.get("reason") or "")]
        for row in gate.get("headlines") or []:
            if row["verdict"] not in ("same", "better"):
                lines.append(f"{row['method']}, {row['metric']}: {row['verdict']}. {row.get('reason') or ''}".strip())
        lines += [str(remark) for remark in gate.get("remarks") or []]
        title = f"Gate: {gate['verdict']} (exit code {gate['exit_code']})"
        return Banner(_LOOKS.get(int(gate["exit_code"]), "bad"), title, tuple(filter(None, [*lines, state[1]])))
    return Banner(state[0], state[1], tuple(leaders(details, ids)))


def completeness(details: Details) -> tuple[str, str]:
    """(look, sentence) on how many cells have a video."""
    count = Counter(cell["status"] for cell in details.cells)
    bad = {status: n for status, n in count.items() if status != "ok"}
    clips, methods = {cell["clip"] for cell in details.cells}, {cell["method"] for cell in details.cells}
    size = f"{_many(len(clips), 'clip')}, {_many(len(methods), 'method')}, {_many(len(details.cells), 'cell')}"
    if not details.run.finished.all:
        return "warn", f"{details.run.finished.words}: {UNFINISHED}; {size}"
    if not bad:
        return "good", f"Complete: {size}"
    parts = ", ".join(f"{n} {status}" for status, n in sorted(bad.items()))
    return "warn", f"{count['ok']} of {len(details.cells)} cells have a video ({parts}); {size}"


def _many(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def leaders(details: Details, ids: Sequence[str]) -> list[str]:
    """Per metric one line: the best method, and the ones that the clips do not tell apart from it."""
    run = details.run
    series = statistics.clip_series(run)
    methods = [label for label, about in run.methods.items() if about["kind"] == "method"]
    lines = []
    for name in ids:
        spec = run.metrics[name]
        values = {m: series[m, name].values for m in methods if (m, name) in series}
        same = statistics.not_worse_than_best(values, spec["better"])
        full = {m: sum(v for v in values[m].values() if v is not None) / len(values[m]) for m in same}
        if len(values) < 2 or not full:
            continue
        sign = -1 if spec["better"] == "higher" else 1
        best = min(full, key=lambda m: sign * full[m])
        others = [title_of(run.methods, m) for m in sorted(same) if m != best]
        text = f"{spec['title']}: {title_of(run.methods, best)} leads with {shown(full[best], int(spec['decimals']))}"
        if others:
            text += f"; over {_many(len(values[best]), 'clip')} not told apart from it: {', '.join(others)}"
        lines.append(text)
    if not methods:
        lines.append("Only control rows: they bound the metrics and are never ranked")
    return lines
