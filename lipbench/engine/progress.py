"""What a run shows while it works: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lipbench.engine.plan import Node
from lipbench.engine.runner import NodeState

MARKS = {
    "run": "ok",
    "cached": "cached",
    "refused": "--",
    "failed": "FAILED",
    "blocked": "blocked",
    "skipped": "skipped",
}


class PlainProgress:
    """One line per stage that ran or was refused; for CI logs and pipes."""

    def __init__(self, total: int, silent: bool = False) -> None:
        self.total, self.done, self.silent = total, 0, silent

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        if event != "end" or state is None:
            return
        self.done += 1
        if not self.silent and state.how in ("run", "refused", "failed"):
            print(f"[{self.done}/{self.total}] {describe(node, state)}", file=sys.stderr, flush=True)


def describe(node: Node, state: NodeState) -> str:
    """A finished stage in one line."""
    wall = state.record.timing.get("wall_s") if state.record is not None else None
    took = f" {wall:.1f} s" if wall is not None and state.how == "run" else ""
    why = f": {state.reason}" if state.reason and state.how != "cached" else ""
    mark = "--" if state.record is not None and state.record.status == "refused" else MARKS[state.how]
    return f"{mark} {node.id}{took}{why}"


@dataclass
class Tally:
    """Stages of one kind: all, with a result, refused (or behind a refused one), failed (or behind a failed one)."""

    total: int
    done: int = 0
    refused: int = 0
    failed: int = 0

    def add(self, state: NodeState) -> None:
        if state.how in ("run", "cached") and (state.record is None or state.record.status == "ok"):
            self.done += 1
        elif state.how in ("run", "cached", "refused") or state.final:
            self.refused += 1
        else:
            self.failed += 1


class LiveProgress:
    """A rich table: stages by kind that have a result, were refused or failed, and what runs right now."""

    def __init__(self, total: int, kinds: Mapping[str, int]) -> None:
        from rich.console import Console
        from rich.live import Live

        self.total, self.kinds = total, {kind: Tally(n) for kind, n in kinds.items()}
        self.running: dict[str, float] = {}
        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, get_renderable=self.table, transient=True)

    def __enter__(self) -> LiveProgress:
        self.live.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.live.__exit__(*exc)

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        if event == "start":
            self.running[node.id] = time.monotonic()
            return
        self.running.pop(node.id, None)
        if state is not None:
            self.kinds[node.kind].add(state)
        if state is not None and state.how == "failed":
            self.console.print(describe(node, state), style="red", highlight=False)

    def table(self) -> Any:
        from rich.table import Table

        table = Table("stage", "done", "refused", "failed", "running", box=None, padding=(0, 2, 0, 0))
        now = time.monotonic()
        for kind, tally in self.kinds.items():
            active = [
                f"{n.split(' ', 1)[1]} {now - t:.0f}s" for n, t in self.running.items() if n.split(" ")[0] == kind
            ]
            refused, failed = str(tally.refused or ""), str(tally.failed or "")
            table.add_row(kind, f"{tally.done}/{tally.total}", refused, failed, ", ".join(active[:4]))
        return table


def create(nodes: Iterable[Node], quiet: bool = False) -> Any:
    """The right progress for this terminal."""
    kinds = Counter(node.kind for node in nodes)
    if not quiet and sys.stderr.isatty():
        return LiveProgress(kinds.total(), kinds)
    return PlainProgress(kinds.total(), silent=quiet)
