"""What stands on top of the page: the gate's verdict when there is one, and the story of the numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench.core.errors import StoreError
from lipbench.reports.details import Details, title_of
from lipbench.reports.html import story
from lipbench.reports.tables import UNFINISHED

GATE_SCHEMA = 1
_LOOKS = {0: "good", 1: "bad", 3: "warn", 4: "warn", 6: "warn"}
#: What a gate's verdict means for somebody who did not set it up.
_GATE = {
    "fine": "No worse than the stored baseline",
    "regression": "Worse than the stored baseline",
    "suspect": "Maybe worse than the stored baseline",
    "incomplete": "The comparison with the baseline is not complete",
    "nothing comparable": "Nothing can be compared with the baseline",
}


@dataclass(frozen=True)
class Banner:
    """The verdict. `look` is good, bad, warn or plain; `size` says what was looked at."""

    look: str
    title: str
    lines: tuple[str, ...]
    size: str


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
    state, size = story.finished_words(details)
    found = story.leads(details, ids)
    title, lines = story.headline(details, found), story.lines(details, ids, found)
    if not details.run.finished.all:
        lines.append(UNFINISHED[0].upper() + UNFINISHED[1:])
    if gate is None:
        return Banner("warn" if state == "warn" else "plain", title, tuple(lines), size)
    own = [_gate_line(details, row) for row in gate.get("headlines") or [] if row["verdict"] not in ("same", "better")]
    told = [str(gate.get("reason") or ""), *own, *(str(remark) for remark in gate.get("remarks") or []), title, *lines]
    words = _GATE.get(str(gate["verdict"]), str(gate["verdict"]))
    head = f"{words} (gate: {gate['verdict']}, exit code {gate['exit_code']})"
    return Banner(_LOOKS.get(int(gate["exit_code"]), "bad"), head, tuple(filter(None, told)), size)


def _gate_line(details: Details, row: dict[str, Any]) -> str:
    run = details.run
    method = title_of(run.methods, row["method"]) if row["method"] in run.methods else str(row["method"])
    metric = run.metrics.get(row["metric"], {}).get("title", row["metric"])
    return f"{method}, {metric}: {row['verdict']}. {row.get('reason') or ''}".strip()
