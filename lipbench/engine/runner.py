"""Walks a plan: take what the store has, claim and run the rest, record every outcome, go on after failures."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.core.errors import FINAL_REASONS, DiskFull, LipbenchError, StoreError
from lipbench.core.leases import Lease
from lipbench.core.store import Record, Store, cannot_write
from lipbench.engine.custody import Custody
from lipbench.engine.executors import Executor, StageRequest, StageResult
from lipbench.engine.plan import Node, Pending, Plan, PlanState

#: Seconds a stage may take, by kind; --timeout replaces fit and synthesize.
TIMEOUTS = {
    "clip": 3600,
    "dub": 3600,
    "faces": 3600,
    "prepare": 3600,
    "fit": 48 * 3600,
    "synthesize": 6 * 3600,
    "score": 3600,
}
#: Outcomes that another attempt may change within the same run.
RETRIED = frozenset({"crashed", "oom"})


@dataclass(frozen=True)
class RunOptions:
    """How to run; nothing here can change a number.

    Attributes:
        retries: further attempts after a crash or an out-of-memory kill.
        timeout_s: limit for fit and synthesize stages (None: TIMEOUTS).
        max_failures: stop starting stages after this many failed ones (None: never).
    """

    retries: int = 1
    timeout_s: float | None = None
    max_failures: int | None = None


@dataclass
class NodeState:
    """The outcome of one node in this run. `how`: cached, run, refused, failed, blocked or skipped."""

    how: str
    record: Record | None = None
    reason: str | None = None

    @property
    def final(self) -> bool:
        """Blocked because an input was refused: another run would end the same way."""
        return self.how == "blocked" and (self.reason or "").split(":")[0] in FINAL_REASONS


@dataclass
class Flight:
    """A stage that runs: the nodes that wait for it, its lease, which attempt it is, and what it was started with."""

    nodes: list[Node]
    lease: Lease
    attempt: int
    request: StageRequest
    preimage: Mapping[str, Any]


@dataclass
class RunOutcome:
    """What a run did.

    Attributes:
        states: node id -> outcome.
        stopped: why no more stages were started ("" when all were).
        wall_s: seconds it took.
    """

    states: dict[str, NodeState] = field(default_factory=dict)
    stopped: str = ""
    wall_s: float = 0.0

    def count(self, how: str) -> int:
        return sum(s.how == how for s in self.states.values())


#: Order among stages that could start; 0 for everything that is not named.
RANK = {"synthesize": 1, "score": 2}

Listener = Callable[[str, Node, NodeState | None], None]


class Runner:
    """One pass over a plan. `listener(event, node, state)` hears "start" and "end" of each stage."""

    def __init__(
        self, plan: Plan, store: Store, make_executor: Callable[[], Executor], options: RunOptions, listener: Listener
    ) -> None:
        self.plan, self.store, self.options, self.listener = plan, store, options, listener
        self.progress = PlanState(plan, store)
        self.outcome = RunOutcome()
        self._make_executor = make_executor
        self._executor: Executor | None = None
        self._flying: dict[str, Flight] = {}  # by key
        self._attempts: dict[str, int] = {}
        self._custody = Custody(store)
        self._again: list[Node] = []  # ended once, and open again: something that they depend on was damaged

    @property
    def executor(self) -> Executor:
        # Started at the first stage that has to run: a cached run starts no process.
        if self._executor is None:
            self._executor = self._make_executor()
        return self._executor

    def run(self) -> RunOutcome:
        """Run until every node has an outcome. Ctrl-C stops at once; finished stages are kept."""
        began = time.monotonic()
        # What others wait for comes first: a fit that starts last keeps one core busy while the others idle.
        open_nodes = sorted(self.plan.nodes.values(), key=lambda node: RANK.get(node.kind, 0))
        try:
            while open_nodes or self._flying or self._again:
                moved = False
                known = {node.id for node in open_nodes}
                open_nodes += [node for node in self._again if node.id not in known]
                self._again = []
                still = []
                for node in open_nodes:
                    if self._advance(node):
                        moved = True
                    else:
                        still.append(node)
                open_nodes = [n for n in still if n.id not in self.outcome.states]
                if self._flying:
                    for done in self.executor.poll(1.0):
                        self._finish(done)
                        moved = True
                elif not moved and open_nodes:
                    time.sleep(1.0)  # another process holds the leases of what is left
        finally:
            if self._executor is not None:
                self._executor.close()
            for flight in self._flying.values():  # nobody writes there any more
                shutil.rmtree(flight.request.workspace, ignore_errors=True)
                flight.lease.release()
        self.outcome.wall_s = time.monotonic() - began
        return self.outcome

    def _end(self, node: Node, state: NodeState) -> bool:
        self.outcome.states[node.id] = state
        self.listener("end", node, state)
        return True

    def _advance(self, node: Node) -> bool:
        """Give the node an outcome or start it, if that is possible now."""
        states = self.outcome.states
        if node.id in states:
            return True
        if node.refusal is not None:
            return self._end(node, NodeState("refused", reason=f"{node.refusal.reason}: {node.refusal.one_line()}"))
        for need in node.needs:
            if need in states and (states[need].record is None or states[need].record.status != "ok"):  # type: ignore[union-attr]
                return self._end(node, NodeState("blocked", reason=states[need].reason))
        if any(other not in states for other in (*node.needs, *node.optional_deps)):
            return False
        try:
            key = self.progress.key(node.id)
        except Pending:
            return False
        except LipbenchError as error:
            return self._end(node, NodeState("refused", reason=f"{error.reason}: {error.one_line()}"))
        if key in self._flying:
            nodes = self._flying[key].nodes
            if node not in nodes:
                nodes.append(node)
            return False
        self.progress.evict(node.id)
        record = self.progress.find(node.id)
        if record is not None and (record.finished or key in self._attempts):
            how = "cached" if key not in self._attempts else "run"
            return self._end(node, NodeState(how if record.finished else "failed", record, record.reason))
        if self.outcome.stopped:
            return self._end(node, NodeState("skipped", reason=self.outcome.stopped))
        return self._start(node, key)

    def _start(self, node: Node, key: str) -> bool:
        if self.executor.free <= 0:
            return False
        lease = None
        try:
            lease = self.store.claim(key)
            if lease is None:
                return False
            record = self.store.take(key)  # finished by another process between our look and our claim?
            if record is not None and record.finished:
                lease.release()
                return False
            damaged, inputs = self._custody.inputs(self._read_by(node))
            if damaged:
                lease.release()
                return self._redo(damaged) or self._end(node, NodeState("failed", reason=_damaged_again(damaged)))
            workspace = self.store.workspace(key)
            task = node.task(self.progress).to_json()
            request = StageRequest(node.kind, key, task, str(workspace), self._timeout(node.kind), node.gpu, inputs)
            (workspace / "job.json").write_text(json.dumps({"kind": node.kind, "key": key, "task": task}, indent=1))
        except (LipbenchError, OSError) as error:
            if lease is not None:
                lease.release()
            if isinstance(error, OSError):
                error = cannot_write(error, self.store.root)
            self.outcome.stopped = f"stopped: {error.one_line()}"
            return False
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        self._flying[key] = Flight([node], lease, attempt, request, self.progress.preimage(node.id))
        self.listener("start", node, None)
        self.executor.submit(request)
        return False

    def _timeout(self, kind: str) -> float:
        if self.options.timeout_s is not None and kind in ("fit", "synthesize"):
            return self.options.timeout_s
        return float(TIMEOUTS[kind])

    def _read_by(self, node: Node) -> list[Record]:
        """Records of the stages whose files a stage may read."""
        records = map(self.progress.find, (*node.needs, *node.optional_deps))
        return [record for record in records if record is not None and record.status == "ok"]

    def _redo(self, damaged: Sequence[str]) -> bool:
        """Set damaged results aside; their stages and all that depend on them are open again.

        Returns:
            False, when that was of no use before: then nothing is done.
        """
        if not self._custody.lose(damaged):
            return False
        again = self.progress.nodes_of(damaged)
        for node in self.plan.nodes.values():
            if not again.isdisjoint((*node.needs, *node.optional_deps)):
                again.add(node.id)
        for name in again:
            self.progress.forget(name)  # what is made again may have another content: other keys
            if (state := self.outcome.states.pop(name, None)) is not None:
                self._again.append(self.plan.nodes[name])
                self.listener("again", self.plan.nodes[name], state)
        return True

    def _finish(self, done: StageResult) -> None:
        key, answer = done.request.key, done.answer
        flight = self._flying.pop(key)
        workspace = Path(done.request.workspace)
        lost = answer["status"] == "damaged"
        if lost or (answer["status"] in RETRIED and flight.attempt <= self.options.retries):
            shutil.rmtree(workspace, ignore_errors=True)
            flight.lease.release()
            if not lost:
                return  # still open: the next round starts it again
            if self._redo(answer["damaged"]):
                self._attempts.pop(key)  # it was no fault of its own
                return
            workspace = self.store.workspace(key)
        if answer["status"] == "refused" and not answer.get("kept", True):  # as if it had been known before
            shutil.rmtree(workspace, ignore_errors=True)
            flight.lease.release()
            for node in flight.nodes:
                self._end(node, NodeState("refused", reason=_reason(answer["error"])))
            return
        record = Record(
            key=key,
            kind=done.request.kind,
            status="error" if lost else str(answer["status"]),
            preimage=flight.preimage,
            outputs=answer["outputs"],
            rest=answer["rest"],
            info=answer["info"],
            scores=answer["scores"],
            timing=answer["timing"],
            provenance=answer["provenance"],
            error=answer["error"],
            attempts=flight.attempt,
        )
        try:
            record = self.store.put(record, workspace)
            self._custody.read(done.request.inputs)
            if record.status == "ok":
                self._custody.made(record)
        except StoreError as error:
            if isinstance(error, DiskFull):
                self.outcome.stopped = f"stopped: {error.one_line()}"
            record = dataclasses.replace(
                record, status="error", error=_error_json(error), scores={}, outputs={}, rest={}
            )
            shutil.rmtree(workspace, ignore_errors=True)
        finally:
            flight.lease.release()
        if record.error is not None and record.error.get("reason") == "disk_full":
            self.outcome.stopped = f"stopped: {record.reason}"
        how = "run" if record.finished else "failed"
        for node in flight.nodes:
            if self.progress.has_key(node.id, key):  # else an input was lost meanwhile, and is made again
                self.progress.put(node.id, record)
                self._end(node, NodeState(how, record, record.reason))
        limit = self.options.max_failures
        if limit is not None and self.outcome.count("failed") >= limit and not self.outcome.stopped:
            self.outcome.stopped = f"stopped after {limit} failures (--max-failures)"


def _damaged_again(keys: Sequence[str]) -> str:
    names = ", ".join(key[:12] for key in keys)
    return f"damaged: the results {names} were made again and are damaged again; see what changes files in the run"


def _reason(error: Mapping[str, str]) -> str:
    return Record("", "", "refused", {}, error=error).reason or ""


def _error_json(error: LipbenchError) -> dict[str, str]:
    return {"reason": error.reason, "what": error.what, "why": error.why, "fix": error.fix, "traceback": ""}
