"""What a run shows while it works: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lipbench.core.record import Record
from lipbench.engine.estimate import BY_FRAMES, Estimate, clock, frames, group
from lipbench.engine.outcome import NodeState
from lipbench.engine.plan import Node

#: How a stage ended, for people.
MARKS = {
    "run": "ok",
    "cached": "cached",
    "refused": "refused",
    "failed": "FAILED",
    "blocked": "not tried",
    "skipped": "not started",
}
#: Kinds of stages, for people.
WORDS = {"synthesize": "video", "score": "scores", "fit": "training", "prepare": "preparation"}
#: Seconds from which a stage is long: then its speed is told.
LONG_S = 5.0


class PlainProgress:
    """One line per stage that ran or was refused; for CI logs and pipes."""

    def __init__(self, nodes: Iterable[Node], silent: bool = False) -> None:
        nodes = list(nodes)
        self.total, self.done, self.silent = len(nodes), 0, silent
        self.estimate = Estimate(() if silent else nodes)

    def __enter__(self) -> PlainProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        if self.silent:
            return
        self.estimate(event, node, state)
        if event == "again":
            self.done -= 1
        if event != "end" or state is None:
            return
        self.done += 1
        if state.how in ("run", "refused", "failed"):
            place = f"[{self.done}/{self.total}]"
            self.say(f"{place} {describe(node, state)} ({self.estimate.words()})")

    def say(self, text: str) -> None:
        """Words for whoever watches."""
        if not self.silent:
            print(text, file=sys.stderr, flush=True)


def name(node: Node) -> str:
    """A stage for people: "video wav2lip katie/fr"."""
    kind, _, rest = node.id.partition(" ")
    return f"{WORDS.get(kind, kind)} {rest}".strip()


def describe(node: Node, state: NodeState) -> str:
    """A finished stage in one line."""
    record = state.record
    wall = record.timing.get("wall_s") if record is not None else None
    took = ""
    if record is not None and wall is not None and state.how == "run":
        n = frames(record) if node.kind in BY_FRAMES and wall >= LONG_S and isinstance(record, Record) else 0
        took = f" {wall:.1f} s" + (f", {n / wall:.1f} frames/s" if n else "")
    why = f": {state.reason}" if state.reason and state.how != "cached" else ""
    mark = MARKS["refused"] if record is not None and record.status == "refused" else MARKS[state.how]
    return f"{mark} {name(node)}{took}{why}"


@dataclass
class Tally:
    """Stages of one kind: all, with a result, refused (or behind a refused one), failed (or behind a failed one)."""

    total: int
    done: int = 0
    refused: int = 0
    failed: int = 0

    @property
    def ended(self) -> int:
        return self.done + self.refused + self.failed

    def add(self, state: NodeState, n: int = 1) -> None:
        """Count an outcome; n = -1 takes it back."""
        if state.how in ("run", "cached") and (state.record is None or state.record.status == "ok"):
            self.done += n
        elif state.how in ("run", "cached", "refused") or state.final:
            self.refused += n
        else:
            self.failed += n


class LiveProgress:
    """A rich table: stages by kind that have a result, were refused or failed, how fast they are, and what runs.

    Below it: how many have ended of all, the time so far and about how much is left.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        from rich.console import Console
        from rich.live import Live

        nodes = list(nodes)
        self.kinds = {kind: Tally(n) for kind, n in Counter(node.kind for node in nodes).items()}
        self.total = len(nodes)
        self.estimate = Estimate(nodes)
        self.running: dict[str, tuple[Node, float]] = {}
        self.console = Console(stderr=True)
        self.live = Live(console=self.console, refresh_per_second=4, get_renderable=self.view, transient=True)

    def __enter__(self) -> LiveProgress:
        self.live.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self.live.__exit__(*exc)

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        self.estimate(event, node, state)
        if event == "start":
            self.running[node.id] = node, time.monotonic()
            return
        self.running.pop(node.id, None)
        if state is not None:
            self.kinds[node.kind].add(state, -1 if event == "again" else 1)
        if event == "end" and state is not None and state.how == "failed":
            self.console.print(describe(node, state), style="red", highlight=False)

    def say(self, text: str) -> None:
        """Words for whoever watches, above the table; lines keep their width."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def view(self) -> Any:
        """The table and the line below it."""
        from rich.console import Group

        ended = sum(tally.ended for tally in self.kinds.values())
        return Group(self.table(), f"{ended}/{self.total} stages, {self.estimate.words()}")

    def table(self) -> Any:
        from rich.table import Table

        table = Table("stage", "done", "refused", "failed", "frames/s", "running", box=None, padding=(0, 2, 0, 0))
        for kind, tally in self.kinds.items():
            active = [self._running(node, since) for node, since in self.running.values() if node.kind == kind]
            refused, failed = str(tally.refused or ""), str(tally.failed or "")
            rate = self.estimate.rate(kind)
            speed = "" if rate is None else f"{rate:.1f}"
            row = (WORDS.get(kind, kind), f"{tally.done}/{tally.total}", refused, failed, speed)
            table.add_row(*row, ", ".join(active[:4]) + (", ..." if len(active) > 4 else ""))
        return table

    def _running(self, node: Node, since: float) -> str:
        """ "wav2lip katie/fr 0:34 of about 0:50"."""
        usual = self.estimate.usual(group(node))
        text = f"{node.id.partition(' ')[2]} {clock(time.monotonic() - since)}"
        return text if usual is None else f"{text} of about {clock(usual)}"


def create(nodes: Iterable[Node], quiet: bool = False) -> Any:
    """The right progress for this terminal."""
    if not quiet and sys.stderr.isatty():
        return LiveProgress(nodes)
    return PlainProgress(nodes, silent=quiet)
