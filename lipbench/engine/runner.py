"""Walks a plan: take what the store has, claim and run the rest, record every outcome, go on after failures."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lipbench.core.errors import DiskFull, LipbenchError, StoreError, cannot_write
from lipbench.core.leases import Held
from lipbench.core.store import Record, Store
from lipbench.engine.custody import Custody
from lipbench.engine.executors import Executor, StageRequest, StageResult
from lipbench.engine.messages import lasting
from lipbench.engine.outcome import RETRIED, TIMEOUTS, Flight, NodeState, RunOptions, RunOutcome
from lipbench.engine.plan import Node, Pending, Plan, PlanState
from lipbench.engine.schedule import Schedule

Listener = Callable[[str, Node, NodeState | None], None]

#: Stages looked up in the store between two looks at the executor.
LOOKS = 200
#: Seconds between two looks at stages that another process works on.
ELSEWHERE_S = 1.0


class Runner:
    """One pass over a plan. `listener(event, node, state)` hears "start" and "end" of each stage."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        make_executor: Callable[[], Executor],
        options: RunOptions,
        listener: Listener,
        progress: PlanState | None = None,
    ) -> None:
        self.plan, self.store, self.options, self.listener = plan, store, options, listener
        self.progress = progress or PlanState(plan, store)
        self.schedule = Schedule(plan.nodes)
        self.outcome = RunOutcome()
        self._make_executor = make_executor
        self._executor: Executor | None = None
        self._custody = Custody(store)
        self._flying: dict[str, Flight] = {}  # by key
        self._attempts: dict[str, int] = {}
        self._made: set[str] = set()  # keys whose record is of this run
        self._failed = 0
        self._elsewhere: list[str] = []  # another process works on them
        self._look_again = 0.0

    @property
    def executor(self) -> Executor:
        # Started at the first stage that has to run: a cached run starts no process.
        if self._executor is None:
            self._executor = self._make_executor()
        return self._executor

    def run(self) -> RunOutcome:
        """Run until every node has an outcome. Ctrl-C stops at once; finished stages are kept.

        Raises:
            RuntimeError: stages wait for each other: the plan has a circle.
        """
        began = time.monotonic()
        try:
            while len(self.schedule):
                moved = self._look_up()
                moved = self._start_ready() or moved
                if self._flying:
                    for done in self.executor.poll(0.0 if self.schedule.has_due else 1.0):
                        self._finish(done)
                elif self._elsewhere:
                    if not moved:
                        time.sleep(ELSEWHERE_S)
                elif not moved and len(self.schedule):
                    raise RuntimeError(f"stages that wait for each other: {', '.join([*self.schedule.open][:5])}")
        finally:
            if self._executor is not None:
                self._executor.close()
            for flight in self._flying.values():  # nobody writes there any more
                self._leave(flight)
        self.outcome.wall_s = time.monotonic() - began
        return self.outcome

    def _end(self, node: Node, state: NodeState) -> None:
        """Write down an outcome, and what follows from it for stages that need this one."""
        ending = [(node, state)]
        while ending:
            node, state = ending.pop()
            if node.id not in self.schedule:
                continue
            self.outcome.states[node.id] = state
            self._failed += state.how == "failed"
            self.listener("end", node, state)
            good = state.record is not None and state.record.status == "ok"
            blocked = self.schedule.end(node.id, good)
            ending += [(self.plan.nodes[name], NodeState("blocked", reason=state.reason)) for name in blocked]

    def _look_up(self) -> bool:
        """Give stages whose inputs are all there their outcome, or find that they have to run."""
        looked = 0
        while looked < LOOKS and (name := self.schedule.due()) is not None:
            looked += 1
            self._resolve(self.plan.nodes[name])
        if self._elsewhere and time.monotonic() >= self._look_again:
            names, self._elsewhere = self._elsewhere, []
            self._look_again = time.monotonic() + ELSEWHERE_S
            looked += len(names)
            for name in names:
                self._resolve(self.plan.nodes[name])
        return looked > 0

    def _resolve(self, node: Node) -> None:
        """From the store where it has a record, else to the queue of stages that have to run."""
        if node.id not in self.schedule or self.schedule.waits(node.id):
            return
        if node.refusal is not None:
            return self._end(node, NodeState("refused", reason=f"{node.refusal.reason}: {node.refusal.one_line()}"))
        try:
            key = self.progress.key(node.id)
        except Pending as error:  # an input is not there although its stage has ended
            return self._end(node, NodeState("blocked", reason=f"no result of: {error}"))
        except LipbenchError as error:
            return self._end(node, NodeState("refused", reason=f"{error.reason}: {error.one_line()}"))
        if not self._is_answered(node, key):
            self.schedule.ready(node.id)

    def _is_answered(self, node: Node, key: str) -> bool:
        """End the node, if its record says how."""
        record = self.progress.find(node.id)
        if record is not None and not record.finished:  # it may have been made meanwhile
            self.progress.evict(node.id)
            record = self.progress.find(node.id)
        if record is None or not (record.finished or key in self._made):
            return False
        how = "cached" if key not in self._attempts else "run"
        self._end(node, NodeState(how if record.finished else "failed", record, record.reason))
        return True

    def _start_ready(self) -> bool:
        """Start as much as the executor takes; stages that use a GPU come first, the cards are what is rare.

        Where there is no card all come in the plan's order: the first dub is measured before the others are made.
        """
        moved = False
        queues: tuple[bool | None, ...] = ()
        if self.schedule.has_ready:
            queues = (True, False) if self.executor.has_gpu else (None,)
        for gpu in queues:
            while (name := self.schedule.take(gpu, *self.executor.dubs())) is not None:
                node = self.plan.nodes[name]
                key = self.progress.key(name)
                if self.outcome.stopped:
                    if not self._is_answered(node, key):
                        self._end(node, NodeState("skipped", reason=self.outcome.stopped))
                elif key in self._flying:
                    self._flying[key].nodes.append(node)
                elif not self.executor.has_room(self._share(node), spare=not self.schedule.gpu_left):
                    self.schedule.ready(name)
                    break
                else:
                    self._start(node, key)
                moved = True
        if self.outcome.stopped:
            for name in self._elsewhere:
                self.schedule.ready(name)
            moved = moved or bool(self._elsewhere)
            self._elsewhere = []
        return moved

    def _start(self, node: Node, key: str) -> None:
        lease: Held | None = None
        try:
            lease = self.store.claim(key)
            if lease is None:
                self._elsewhere.append(node.id)
                return
            if self._is_answered(node, key):  # by another process between our look and our claim, or as another node
                lease.release()
                return
            damaged, inputs = self._custody.inputs(self._read_by(node))
            if damaged:
                lease.release()
                if not self._redo(damaged, [node], key):
                    self._end(node, NodeState("failed", reason=f"damaged: {', '.join(damaged)}, again and again"))
                return
            workspace = self.store.workspace(key)
            task = node.task(self.progress).to_json()
            share = self._share(node)
            timeout, dub = self._timeout(node.kind), self.schedule.dub(node.id)
            request = StageRequest(node.kind, key, task, str(workspace), timeout, share, inputs, dub)
            (workspace / "job.json").write_text(json.dumps({"kind": node.kind, "key": key, "task": task}, indent=1))
        except (LipbenchError, OSError) as error:
            if lease is not None:
                lease.release()
            if isinstance(error, OSError):
                error = cannot_write(error, self.store.root)
            self.outcome.stopped = f"stopped: {error.one_line()}"
            self.schedule.ready(node.id)
            return
        attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        self._flying[key] = Flight([node], lease, attempt, request, self.progress.preimage(node.id))
        self.listener("start", node, None)
        self.executor.submit(request)

    def _share(self, node: Node) -> float:
        """The part of a GPU that a stage takes; 0 when it uses none."""
        share = self.options.gpu_share
        return share if share is not None and node.gpu else node.gpu

    def _timeout(self, kind: str) -> float:
        if self.options.timeout_s is not None and kind in ("fit", "synthesize"):
            return self.options.timeout_s
        return float(TIMEOUTS[kind])

    def _read_by(self, node: Node) -> list[Record]:
        """Records of the stages whose files a stage may read."""
        records = map(self.progress.find, dict.fromkeys((*node.needs, *node.optional_deps)))
        return [record for record in records if record is not None and record.status == "ok"]

    def _redo(self, damaged: Sequence[str], readers: Sequence[Node], key: str) -> bool:
        """Set damaged results aside; their stages and all that depend on them are open again.

        Args:
            readers: who was to read them.
            key: that of the readers.

        Returns:
            False when that was of no use before: then nothing is open that was not.
        """
        if not self._custody.lose(damaged, key):
            return False
        again = self.progress.nodes_of(damaged) | {node.id for node in readers}
        for node in self.plan.nodes.values():
            if not again.isdisjoint((*node.needs, *node.optional_deps)):
                again.add(node.id)
        for name in again:
            self.progress.forget(name)  # what is made again may have another content: other keys
            if (state := self.outcome.states.pop(name, None)) is not None:
                self._failed -= state.how == "failed"
                self.listener("again", self.plan.nodes[name], state)
        self.schedule.reopen(again)
        return True

    def _finish(self, done: StageResult) -> None:
        key, answer = done.request.key, done.answer
        flight = self._flying.pop(key)
        if answer["status"] == "damaged":
            self._leave(flight)
            self._attempts.pop(key)  # it was no fault of its own
            if not self._redo(answer["damaged"], flight.nodes, key):
                for node in flight.nodes:
                    self._end(node, NodeState("failed", reason=_reason(answer["error"])))
            return
        if answer["status"] in RETRIED and flight.attempt <= self.options.retries:
            self._leave(flight)
            for node in flight.nodes:
                self.schedule.ready(node.id)
            return
        if answer["status"] == "refused" and not answer.get("kept", True):  # as if it had been known before
            self._leave(flight)
            for node in flight.nodes:
                self._end(node, NodeState("refused", reason=_reason(answer["error"])))
            return
        workspace = Path(done.request.workspace)
        record = Record(
            key=key,
            kind=done.request.kind,
            status=str(answer["status"]),
            preimage=flight.preimage,
            outputs=answer["outputs"],
            rest=answer.get("rest"),
            info=answer["info"],
            scores=answer["scores"],
            timing=answer["timing"],
            provenance=answer["provenance"],
            error=lasting(answer["error"], workspace, self.store.directory(key).relative_to(self.store.root)),
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
                record, status="error", error=_error_json(error), scores={}, outputs={}, rest=None
            )
        finally:
            self._leave(flight)
        if record.error is not None and record.error.get("reason") == "disk_full":
            self.outcome.stopped = f"stopped: {record.reason}"
        self._made.add(key)
        how = "run" if record.finished else "failed"
        for node in flight.nodes:
            if self.progress.has_key(node.id, key):  # else an input was lost meanwhile, and is made again
                self.progress.put(node.id, record)
                self._end(node, NodeState(how, record, record.reason))
        limit = self.options.max_failures
        if limit is not None and self._failed >= limit and not self.outcome.stopped:
            self.outcome.stopped = f"stopped after {limit} failures (--max-failures)"

    @staticmethod
    def _leave(flight: Flight) -> None:
        """Nothing is left of a stage that has ended but what was published."""
        shutil.rmtree(flight.request.workspace, ignore_errors=True)
        flight.lease.release()


def _reason(error: Mapping[str, str]) -> str:
    return Record("", "", "refused", {}, error=error).reason or ""


def _error_json(error: LipbenchError) -> dict[str, str]:
    return {"reason": error.reason, "what": error.what, "why": error.why, "fix": error.fix, "traceback": ""}
