"""Writes down each cell of a run when it is finished, so that a running or a killed run can be read.

One file per process, which nobody else writes to: no line is lost, however many write. Reading merges them; see
`lipbench.reports.cells` for the format.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench.core.atomic import write_json, write_text
from lipbench.core.system import lives, process_start
from lipbench.engine.outcome import NodeState
from lipbench.engine.plan import Cell, Node, Plan
from lipbench.reports.cells import FILE, FOLDER, identity, written

_ENCODE = json.JSONEncoder(allow_nan=False).encode
#: Lines that are written in one piece while nothing runs.
AT_ONCE = 2000
#: Seconds after which the file of a process on another machine counts as left behind.
FORGOTTEN_S = 7 * 24 * 3600.0


class CellLog:
    """The file of one process, and which stages each cell still waits for.

    Args:
        root: the run directory.
        plan: whose cells these are; `plan.request` is what they belong to.
        make: a cell's line.
        shard: (i, n), for the file's name.

    Attributes:
        lines: of the finished cells.
        fault: why lines could not be written; None while they can. The records are safe, the next run writes them.
    """

    def __init__(
        self, root: Path, plan: Plan, make: Callable[[Cell], dict[str, Any]], shard: tuple[int, int] | None = None
    ) -> None:
        self.root, self.plan, self.make = root, plan, make
        host, pid = socket.gethostname(), os.getpid()
        part = "" if shard is None else f"{shard[0]}-of-{shard[1]}-"
        self.path = root / FOLDER / f"{part}{host}-{pid}-{secrets.token_hex(4)}.jsonl"
        born = process_start(pid)
        self.head = {"request": plan.request, "shard": shard, "host": host, "pid": pid, "born": born}
        self.lines: dict[Cell, dict[str, Any]] = {}
        self.fault: OSError | None = None
        self._file: Any = None
        self._owed = b""
        self._kept: list[Mapping[str, Any]] = []
        self._works = False
        self._left: dict[Cell, int] = {}
        self._behind: dict[str, list[Cell]] = {}
        for cell in plan.cells:
            stages = {plan.synthesize[cell], *plan.scores[cell].values()}
            self._left[cell] = len(stages)
            for stage in stages:
                self._behind.setdefault(stage, []).append(cell)

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        """Hears what a runner tells its listener."""
        if event == "start":
            self._works = True
            self._flush()
            return
        if event not in ("end", "again"):
            return
        for cell in self._behind.get(node.id, ()):
            self._left[cell] += -1 if event == "end" else 1
            if event == "again":
                self.lines.pop(cell, None)
            elif not self._left[cell]:
                self.lines[cell] = self.make(cell)
                self._append(self.lines[cell])

    def close(self, rest: Sequence[Mapping[str, Any]] | None = None) -> None:
        """Nothing more comes.

        Args:
            rest: lines of cells that are not finished; None: all lines are about to be written to cells.jsonl.
        """
        if rest is not None:
            self._kept += rest
            self._flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: Mapping[str, Any]) -> None:
        self._kept.append(line)
        # What the store has is found within seconds: it goes down in one piece, before the first stage is waited for.
        if self._works or len(self._kept) >= AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._owed += b"".join(map(_text, self._kept))
        self._kept.clear()
        if not self._owed:
            return
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                # Unbuffered: each line is with the system when the next stage starts, whatever becomes of us.
                self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
                self._owed = _text(self.head) + self._owed
            while self._owed:  # after a full disk it goes on at the byte where it stopped
                self._owed = self._owed[self._file.write(self._owed) :]
            self.fault = None
        except OSError as error:
            self.fault = error


def _text(line: Mapping[str, Any]) -> bytes:
    return (_ENCODE(line) + "\n").encode()


def write_cells(root: Path, lines: Sequence[Mapping[str, Any]], keep: bool = False, request: str | None = None) -> None:
    """Write cells.jsonl.

    Args:
        lines: one per cell.
        keep: what others wrote about further cells of the same request stays: in this file, and in theirs. Without it
            the files of processes that have ended are dropped; `lines` are all cells that there are.
        request: what the lines belong to.

    Raises:
        DiskFull: no space left; the old file is untouched.
    """
    with alone(root):
        if keep:
            mine = {identity(line): line for line in lines}
            lines = list((written(root, request) | mine).values())
        write_text(root / FILE, "".join(_ENCODE(line) + "\n" for line in lines))
        if not keep:
            drop_parts(root)


def begin_run(root: Path, about: Mapping[str, Any]) -> None:
    """Write run.json. What an earlier request wrote about its cells counts no more.

    Raises:
        DiskFull: no space left.
    """
    path = root / "run.json"
    with alone(root):
        try:
            before = json.loads(path.read_text(encoding="utf-8"))["request_digest"]
        except (OSError, ValueError, TypeError, KeyError):
            before = None
        if before != about["request_digest"]:
            (root / FILE).unlink(missing_ok=True)
            drop_parts(root)
        write_json(path, about)


def drop_parts(root: Path) -> None:
    """Delete the files of processes that have ended."""
    for path in (root / FOLDER).glob("*.jsonl"):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            with open(path, "rb") as file:
                head = json.loads(file.readline())
            here = head["host"] == socket.gethostname()
            writes = head["pid"] != os.getpid() and lives(int(head["pid"]), head["born"])
            if not writes if here else time.time() - path.stat().st_mtime > FORGOTTEN_S:
                path.unlink()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """While nobody else writes cells.jsonl; the lock goes with its process. Where there are no locks: without one."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    with open(root / FOLDER / "lock", "ab") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
