"""Walks a plan: take what the store has, claim and run the rest, record every outcome, go on after failures."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lipbench.core.errors import FINAL_REASONS, DiskFull, LipbenchError, disk_full
from lipbench.core.store import Lease, Record, Store
from lipbench.engine.executors import Executor, StageRequest, StageResult
from lipbench.engine.messages import lasting
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
        self._flying: dict[str, tuple[list[Node], Lease, int]] = {}  # key -> nodes, lease, attempt
        self._attempts: dict[str, int] = {}

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
            while open_nodes or self._flying:
                moved = False
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
            for _, lease, _ in self._flying.values():
                lease.release()
            if self._executor is not None:
                self._executor.close()
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
            nodes = self._flying[key][0]
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
        lease = self.store.claim(key)
        if lease is None:
            return False
        try:
            record = self.store.get(key)  # finished by another process between our look and our claim?
            if record is not None and record.finished:
                lease.release()
                return False
            workspace = self.store.workspace(key)
            task = node.task(self.progress).to_json()
            request = StageRequest(node.kind, key, task, str(workspace), self._timeout(node.kind), node.gpu)
            (workspace / "job.json").write_text(json.dumps({"kind": node.kind, "key": key, "task": task}, indent=1))
        except (LipbenchError, OSError) as error:
            lease.release()
            if isinstance(error, OSError):
                error = disk_full(error, self.store.root)
            self.outcome.stopped = f"stopped: {error.one_line()}"
            return False
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        self._flying[key] = ([node], lease, attempt)
        self.listener("start", node, None)
        self.executor.submit(request)
        return False

    def _timeout(self, kind: str) -> float:
        if self.options.timeout_s is not None and kind in ("fit", "synthesize"):
            return self.options.timeout_s
        return float(TIMEOUTS[kind])

    def _finish(self, done: StageResult) -> None:
        key = done.request.key
        nodes, lease, attempt = self._flying.pop(key)
        answer = done.answer
        workspace = Path(done.request.workspace)
        if answer["status"] in RETRIED and attempt <= self.options.retries:
            shutil.rmtree(workspace, ignore_errors=True)
            lease.release()
            return  # still open: the next round starts it again
        record = Record(
            key=key,
            kind=done.request.kind,
            status=str(answer["status"]),
            preimage=self.progress.preimage(nodes[0].id),
            outputs=answer["outputs"],
            info=answer["info"],
            scores=answer["scores"],
            timing=answer["timing"],
            provenance=answer["provenance"],
            error=lasting(answer["error"], workspace, self.store.directory(key).relative_to(self.store.root)),
            attempts=attempt,
        )
        try:
            record = self.store.put(record, workspace)
        except DiskFull as error:
            self.outcome.stopped = f"stopped: {error.one_line()}"
            record = dataclasses.replace(record, status="error", error=_error_json(error), scores={}, outputs={})
            shutil.rmtree(workspace, ignore_errors=True)
        finally:
            lease.release()
        if record.error is not None and record.error.get("reason") == "disk_full":
            self.outcome.stopped = f"stopped: {record.reason}"
        how = "run" if record.finished else "failed"
        for node in nodes:
            self.progress.put(node.id, record)
            self._end(node, NodeState(how, record, record.reason))
        limit = self.options.max_failures
        if limit is not None and self.outcome.count("failed") >= limit and not self.outcome.stopped:
            self.outcome.stopped = f"stopped after {limit} failures (--max-failures)"


def _error_json(error: LipbenchError) -> dict[str, str]:
    return {"reason": error.reason, "what": error.what, "why": error.why, "fix": error.fix, "traceback": ""}
