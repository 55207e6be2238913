"""Axes -> cells -> stages, merged by what they depend on.

One clip, one method, four languages, three train lengths are 1 clip, 1 faces, 4 dubs, 1 prepare, 3 fits, 12 syntheses
and 12 x families scores. Nothing heavy is imported here: a cached run must answer at once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from lipbench.core import keys
from lipbench.core.code import Sources
from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.store import Record, Store
from lipbench.engine.tasks import Task

#: Bump a stage's version when the same inputs would give other files.
STAGE_VERSIONS = {"clip": "1", "dub": "1", "faces": "1"}
#: The part of a GPU that a stage takes which uses one, where cards are divided: training fills one, while the
#: inference of one stage overlaps with the decoding of others.
GPU_SHARE = {"prepare": 0.5, "fit": 1.0, "synthesize": 0.5, "score": 0.25}


class Pending(Exception):
    """A key cannot be known yet: it depends on the content of a file that is still to be made."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the benchmark. `language` is the dub's; `dub` its id."""

    method: str
    clip: str
    language: str
    dub: str
    train_seconds: float | None
    seed: int


@dataclass(slots=True)
class Node:
    """One stage of the plan.

    Attributes:
        id: for people: "synthesize wav2lip katie/fr".
        kind: clip, dub, faces, prepare, fit, synthesize or score.
        needs: nodes that must be ok first.
        optional_deps: nodes that must be finished first, whatever came of them.
        preimage: what the key is made of; may raise Pending.
        task: the worker's instructions; called when needs and optional_deps are finished.
        refusal: why this cannot run at all, known at planning time (missing weights, unusable parameters).
        gpu: the part of a GPU that it takes where there is one (`GPU_SHARE`); 0 when it uses none.
    """

    id: str
    kind: str
    needs: tuple[str, ...]
    preimage: Callable[[PlanState], dict[str, Any]]
    task: Callable[[PlanState], Task]
    optional_deps: tuple[str, ...] = ()
    refusal: LipbenchError | None = None
    gpu: float = 0.0


@dataclass
class Plan:
    """All cells and the stages behind them, in an order that respects needs and optional_deps.

    `sources` is the code that their keys hold; `request` the digest of what was asked for, code included: the same for
    all shards of a run.
    """

    cells: list[Cell]
    nodes: dict[str, Node]
    synthesize: dict[Cell, str] = field(default_factory=dict)
    scores: dict[Cell, dict[str, str]] = field(default_factory=dict)
    sources: Sources = field(default_factory=Sources)
    request: str = ""


class PlanState:
    """What is known about a plan's nodes so far: keys and finished records, looked up in the store."""

    def __init__(self, plan: Plan, store: Store) -> None:
        self.plan, self.store = plan, store
        self._keys: dict[str, str] = {}
        self._records: dict[str, Record] = {}

    def preimage(self, node_id: str) -> dict[str, Any]:
        return self.plan.nodes[node_id].preimage(self)

    def key(self, node_id: str) -> str:
        """The node's key; raises Pending while it depends on a file that is not there yet."""
        if node_id not in self._keys:
            self._keys[node_id] = keys.key_of(self.preimage(node_id))
        return self._keys[node_id]

    def has_key(self, node_id: str, key: str) -> bool:
        """Whether this is the node's key; False while it has none."""
        try:
            return self.key(node_id) == key
        except Pending:
            return False

    def nodes_of(self, wanted: Collection[str]) -> set[str]:
        """The nodes whose keys are these, as far as keys are known."""
        return {node for node, key in self._keys.items() if key in wanted}

    def find(self, node_id: str) -> Record | None:
        """The node's record if the store has one (of any status)."""
        if node_id not in self._records:
            try:
                record = self.store.take(self.key(node_id))
            except Pending:
                return None
            if record is None:
                return None
            self._records[node_id] = record
        return self._records[node_id]

    def ok(self, node_id: str) -> Record:
        """The node's record; raises Pending unless it is there and ok."""
        record = self.find(node_id)
        if record is None or record.status != "ok":
            raise Pending(node_id)
        return record

    def put(self, node_id: str, record: Record) -> None:
        self._records[node_id] = record

    def evict(self, node_id: str) -> None:
        self._records.pop(node_id, None)

    def forget(self, node_id: str) -> None:
        """Neither record nor key are known any more: something that the key depends on is made again."""
        self._records.pop(node_id, None)
        self._keys.pop(node_id, None)

    def digest(self, node_id: str, output: str) -> str | None:
        """SHA-256 of an output of a finished node; None when it has no such output."""
        found = self.ok(node_id).outputs.get(output)
        return None if found is None else str(found["sha256"])

    def image_hash(self, node_id: str, output: str) -> str | None:
        """Hash of the images of a video among a finished node's outputs, equal under any sound; None without one."""
        found = self.ok(node_id).outputs.get(output)
        return None if found is None else str(found.get("picture") or found["sha256"])

    def path(self, node_id: str, output: str) -> Path | None:
        """Path of an output of a finished node; None when it has no such output."""
        record = self.find(node_id)
        if record is None or record.status != "ok" or output not in record.outputs:
            return None
        return self.store.output(record, output)

    def made(self, node_id: str, output: str) -> Path:
        """Path of an output that every finished node of its kind has; raises Pending unless it is there."""
        return self.store.output(self.ok(node_id), output)

    def folder(self, node_id: str) -> Path:
        """Where a node's outputs are."""
        return self.store.directory(self.key(node_id)) / "out"


def select(values: list[str], patterns: tuple[str, ...], what: str) -> list[str]:
    """The values that match any glob pattern, in their own order.

    Raises:
        UsageError: a pattern that matches nothing.
    """
    for pattern in patterns:
        if not any(fnmatchcase(v, pattern) for v in values):
            raise UsageError(f"no {what} matches {pattern!r}", f"there are: {', '.join(values)}", "check the spelling")
    return [v for v in values if any(fnmatchcase(v, p) for p in patterns)]


def file_digest(path: Path | None) -> str | None:
    """SHA-256 of a small side file (landmarks, annotations) that manifests do not hash; None without one."""
    if path is None:
        return None
    try:
        now = path.stat()
    except OSError:
        return None
    return _digest(path, now.st_mtime_ns, now.st_size, now.st_ino)


@lru_cache(4096)
def _digest(path: Path, *_: int) -> str:
    """Every method's key asks for the same files again: they are read once, until they change."""
    return keys.sha256_file(path)


@dataclass
class Count:
    """Stages of one kind: all, how many the store has an answer for, how many cannot run.

    A stage cannot run when it is refused (`Node.refusal`, or its key cannot be made: weights are missing), or needs
    one that is, or one whose record says that its input was refused.
    """

    total: int = 0
    cached: int = 0
    impossible: int = 0


def counts(plan: Plan, progress: PlanState) -> Mapping[str, Count]:
    """Stage kind -> what is known before anything runs."""
    result: dict[str, Count] = {}
    dead: set[str] = set()  # gives no result however often it is run
    for node in plan.nodes.values():
        count = result.setdefault(node.kind, Count())
        count.total += 1
        possible = node.refusal is None and dead.isdisjoint(node.needs)
        try:
            record = progress.find(node.id) if possible else None
        except UsageError:
            raise  # a mistake in the request, such as a sync model that nobody knows, ends it before anything runs
        except LipbenchError:
            possible, record = False, None
        cached = record is not None and record.finished
        count.cached += cached
        count.impossible += not possible
        if not possible or (record is not None and cached and record.status != "ok"):
            dead.add(node.id)
    return result
