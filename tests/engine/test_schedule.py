"""Which stages a run looks at, starts and blocks, and how often: counted, never timed."""

from __future__ import annotations

import io
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lipbench.core.errors import WeightsMissing
from lipbench.core.store import Record, Store
from lipbench.engine.executors import StageRequest, StageResult, local
from lipbench.engine.outcome import RunOptions
from lipbench.engine.plan import Node, Pending, Plan
from lipbench.engine.runner import Runner
from lipbench.engine.schedule import Schedule


class Task:
    def to_json(self) -> dict[str, Any]:
        return {}


def node(
    name: str, *needs: str, optional: tuple[str, ...] = (), kind: str = "clip", gpu: float = 0, **more: Any
) -> Node:
    return Node(name, kind, needs, lambda p: {"name": name}, lambda p: Task(), optional_deps=optional, gpu=gpu, **more)  # type: ignore[arg-type,return-value]


def plan(*nodes: Node) -> Plan:
    return Plan([], {one.id: one for one in nodes})


class Slots:
    """An executor with places for stages with and without a GPU; `poll` ends the first one that started."""

    def __init__(self, cpus: int = 2, cards: int = 0, status: dict[str, list[str]] | None = None) -> None:
        self.cpus, self.cards, self.has_gpu = cpus, cards, cards > 0
        self.status = status or {}
        self.flying: list[StageRequest] = []
        self.together: list[list[str]] = []
        self.order: list[str] = []

    @property
    def free(self) -> int:
        return self.cpus + self.cards - len(self.flying)

    def has_room(self, gpu: float, spare: bool) -> bool:
        on_cards = sum(r.gpu > 0 for r in self.flying) if self.cards else 0
        return on_cards < self.cards if gpu and self.cards else len(self.flying) - on_cards < self.cpus

    def dubs(self) -> tuple[list[str], list[str]]:
        return [], []

    def submit(self, request: StageRequest) -> None:
        self.flying.append(request)
        self.order.append(request.key)

    def poll(self, timeout_s: float) -> list[StageResult]:
        self.together.append([r.key for r in self.flying])
        if not self.flying:
            return []
        request = self.flying.pop(0)
        told = self.status.get(request.key) or ["ok"]
        status = told.pop(0) if len(told) > 1 else told[0]
        error = None if status == "ok" else {"reason": status, "what": status, "why": "", "fix": "", "traceback": ""}
        empty = {name: {} for name in ("outputs", "info", "scores", "timing", "provenance")}
        return [StageResult(request, {"status": status, "error": error, **empty})]

    def close(self) -> None:
        pass


class Watched(Runner):
    """A runner whose looks into the store are counted; `key` of a stage is its name."""

    def __init__(self, nodes: Plan, root: Path, slots: Slots, options: RunOptions = RunOptions()) -> None:  # noqa: B008
        store = Store(root)
        super().__init__(nodes, store, lambda: slots, options, lambda *_: None)
        self.names = {self.progress.key(name): name for name in nodes.nodes}
        self.looks, read = 0, store.read

        def counting(key: str) -> Record | None:
            self.looks += 1
            return read(key)

        store.read = counting  # type: ignore[method-assign]

    def named(self, keys: list[str]) -> list[str]:
        return [self.names[key] for key in keys]

    def hows(self) -> dict[str, str]:
        return {name: state.how for name, state in self.outcome.states.items()}


def wide(n: int) -> Plan:
    """n clips, each with a face, three dubs, and a video and two scores of each dub: 13 stages a clip."""
    nodes = []
    for i in range(n):
        nodes += [node(f"clip {i}"), node(f"faces {i}", f"clip {i}", kind="faces")]
        for j in range(3):
            nodes.append(node(f"dub {i}/{j}", f"clip {i}", kind="dub"))
            made = f"synthesize {i}/{j}"
            nodes.append(node(made, f"clip {i}", f"dub {i}/{j}", kind="synthesize", gpu=0.5))
            for k in range(2):
                needs, faces = (made, f"dub {i}/{j}"), (f"faces {i}",)
                nodes.append(node(f"score {k} {i}/{j}", *needs, optional=faces, kind="score"))
    return plan(*nodes)


def visits(n: int) -> int:
    """Of a schedule whose every stage is looked up, made ready, taken and ended."""
    schedule = Schedule(wide(n).nodes)
    while len(schedule):
        while (name := schedule.due()) is not None:
            schedule.ready(name)
        for gpu in (True, False):
            if (name := schedule.take(gpu)) is not None:
                schedule.end(name, good=True)
    return schedule.visits


def test_visits_grow_with_the_plan():
    few, many = visits(10), visits(80)
    assert many <= 8.1 * few  # the last entries are left in their queues
    edges = sum(len(one.needs) + len(one.optional_deps) for one in wide(10).nodes.values())
    # Created, due, taken, and passed over in two queues; each dependency made and ended.
    assert few <= 5 * len(wide(10).nodes) + 2 * edges


def test_workers_stay_at_their_dubs_but_for_the_first_and_the_last():
    nodes = [node("clip")]
    for dub in ("dub a", "dub b", "dub c"):
        nodes += [node(dub, "clip", kind="dub"), *(node(f"score {k} {dub}", dub, kind="score") for k in range(2))]
    schedule = Schedule({one.id: one for one in nodes})
    for one in nodes:
        if one.kind != "score":
            assert schedule.due() == one.id
            schedule.end(one.id, good=True)
    while (name := schedule.due()) is not None:
        schedule.ready(name)
    assert schedule.take(None, ["dub c"], ["dub a"]) == "score 0 dub a"  # everybody's
    schedule.ready("score 0 dub a")  # there was no room for it
    assert schedule.take(None, [""], ["dub a"]) == "score 0 dub a"
    assert schedule.take(None) == "score 1 dub a"
    assert schedule.take(None, ["dub c"], ["dub b"]) == "score 0 dub c"
    assert schedule.take(None, ["dub a"], ["dub c"]) == "score 0 dub b"
    schedule.reopen(["clip", "dub b", "score 0 dub b", "score 1 dub b"])
    assert schedule.take(None, ["dub b"], ["dub c"]) == "score 1 dub c"  # what is left
    assert schedule.take(None, ["dub b"], ["dub c"]) is None


def test_what_others_wait_for_keeps_its_place_before_a_worker_s_own_dub():
    nodes = [node("clip 1"), *(node(f"dub {k}", "clip 1", kind="dub") for k in "abc")]
    nodes += [node(f"score {n}", f"dub {n[0]}", kind="score") for n in ("a", "b1", "c1", "b2", "b3", "b4")]
    nodes += [node("clip 2"), node("fit 2", "clip 2", kind="fit")]  # as if it stood after c1
    nodes += [node(f"score {n}", f"dub {n[0]}", kind="score") for n in ("c2", "b5")]
    schedule = Schedule({one.id: one for one in nodes})
    for one in nodes:
        if one.kind in ("clip", "dub"):
            schedule.end(one.id, good=True)
    while (name := schedule.due()) is not None:
        if name in schedule:
            schedule.ready(name)
    taken = [schedule.take(None, ["dub c"], ["dub b"]) for _ in range(5)]
    assert taken == ["score a", "score c1", "fit 2", "score c2", "score b1"]


@pytest.mark.parametrize("n", [2, 8])
def test_a_stage_is_looked_up_thrice_however_many_there_are(n, tmp_path):
    runner = Watched(wide(n), tmp_path, Slots())
    runner.run()
    assert set(runner.hows().values()) == {"run"}
    assert runner.looks == 3 * len(runner.plan.nodes)  # when it is due, when it is claimed, when it is published
    again = Watched(wide(n), tmp_path, Slots())
    again.run()
    assert set(again.hows().values()) == {"cached"}
    assert again.looks == len(runner.plan.nodes)


def test_a_full_executor_costs_no_looks(tmp_path):
    """What is ready and finds no place is not looked up again each time a place is looked for."""
    runner = Watched(plan(*(node(str(i)) for i in range(40))), tmp_path, Slots(cpus=1))
    runner.run()
    assert runner.looks == 3 * 40
    assert runner.schedule.visits < 8 * 40


def test_every_order_of_ends_leads_to_the_same_outcomes(tmp_path):
    rng = random.Random(0)
    nodes = [node(f"n{i}", *(f"n{j}" for j in range(i) if rng.random() < 0.2)) for i in range(25)]
    bad = {nodes[i].id for i in (3, 7)}
    expected: dict[str, str] = {}
    for one in nodes:
        stopped = any(expected[other] != "run" for other in one.needs)
        expected[one.id] = "blocked" if stopped else "failed" if one.id in bad else "run"
    for cpus in (1, 3, 30):
        slots = Slots(cpus)
        runner = Watched(plan(*nodes), tmp_path / str(cpus), slots)
        slots.status = {key: ["error"] for key, name in runner.names.items() if name in bad}
        runner.run()
        assert runner.hows() == expected


def test_what_needs_a_refused_stage_is_told_at_once(tmp_path):
    refused = node("b", "a", refusal=WeightsMissing("no weights"))
    slots = Slots()
    runner = Watched(
        plan(node("a"), refused, node("c", "a", "b"), node("d", "c"), node("e", optional=("b",))), tmp_path, slots
    )
    runner.run()
    assert runner.hows() == {"a": "run", "b": "refused", "c": "blocked", "d": "blocked", "e": "run"}
    assert {s.reason for n, s in runner.outcome.states.items() if n in "bcd"} == {"weights_missing: no weights."}
    assert list(runner.outcome.states)[:3] == ["b", "c", "d"]


def test_a_long_chain_of_blocked_stages_needs_no_stack(tmp_path):
    nodes = [node("n0", refusal=WeightsMissing("w")), *(node(f"n{i}", f"n{i - 1}") for i in range(1, 3000))]
    runner = Watched(plan(*nodes), tmp_path, Slots())
    runner.run()
    assert runner.outcome.count("blocked") == 2999


def test_fits_come_first_and_a_video_is_scored_before_the_next_is_made(tmp_path):
    nodes = []
    for i in range(2):
        nodes += [node(f"video {i}", kind="synthesize"), node(f"score {i}", f"video {i}", kind="score")]
    slots = Slots(cpus=1)
    runner = Watched(plan(*nodes, node("fit", kind="fit")), tmp_path, slots)
    runner.run()
    assert runner.named(slots.order) == ["fit", "video 0", "score 0", "video 1", "score 1"]


def dubs_scored(n: int) -> Plan:
    """n dubs, each with a video and a score that like a GPU, and a score that uses none."""
    nodes = []
    for i in range(n):
        nodes.append(node(f"video {i}", kind="synthesize", gpu=0.5))
        nodes += [node(f"{name} {i}", f"video {i}", kind="score", gpu=gpu) for name, gpu in (("net", 0.25), ("sum", 0))]
    return plan(*nodes)


def test_without_a_card_stages_that_like_one_do_not_go_before_others(tmp_path):
    """Or a dub's table would wait for all dubs' videos."""
    slots = Slots(cpus=1)
    runner = Watched(dubs_scored(3), tmp_path / "none", slots)
    runner.run()
    assert runner.named(slots.order) == list(runner.plan.nodes)
    slots = Slots(cpus=1, cards=1)
    runner = Watched(dubs_scored(3), tmp_path / "one", slots)
    runner.run()
    assert runner.named(slots.order)[:2] == ["video 0", "net 0"]
    assert runner.named(slots.together[1])[:1] == ["net 0"]


def fitted(clip: str, n_dubs: int) -> list[Node]:
    """A clip whose dubs need a fit that stands behind the videos of another method."""
    nodes = [node(f"clip {clip}")]
    for j in range(n_dubs):
        nodes.append(node(f"plain {clip}{j}", f"clip {clip}", kind="synthesize"))
        if not j:
            nodes.append(node(f"fit {clip}", f"clip {clip}", kind="fit"))
        nodes.append(node(f"field {clip}{j}", f"fit {clip}", kind="synthesize"))
    return nodes


def test_a_clip_is_finished_before_the_next_but_fits_begin_half_a_clip_ahead(tmp_path):
    slots = Slots(cpus=1)
    nodes = plan(*fitted("a", 3), *fitted("b", 3), *fitted("c", 3))
    assert len(nodes.nodes) == 3 * 8
    runner = Watched(nodes, tmp_path, slots)
    runner.run()
    a, b, c = (
        [f"clip {x}", f"fit {x}", *(f"{kind} {x}{j}" for j in range(3) for kind in ("plain", "field"))] for x in "abc"
    )
    # The second half of a clip comes behind what others of the next clip wait for.
    assert runner.named(slots.order) == [*a[:4], *b[:2], *a[4:], *b[2:4], *c[:2], *b[4:], *c[2:]]


def test_stages_on_the_cpu_run_beside_one_on_the_card(tmp_path):
    nodes = [*(node(f"gpu {i}", gpu=1) for i in range(5)), *(node(f"cpu {i}") for i in range(6))]
    slots = Slots(cpus=3, cards=1)
    runner = Watched(plan(*nodes), tmp_path, slots)
    runner.run()
    first = runner.named(slots.together[0])
    assert sorted(first) == ["cpu 0", "cpu 1", "cpu 2", "gpu 0"]
    for keys in slots.together:
        assert sum(name.startswith("gpu") for name in runner.named(keys)) <= 1


def test_a_stage_tells_the_part_of_a_card_that_it_takes(tmp_path):
    for share, told in ((None, {0.0, 0.5}), (0.2, {0.0, 0.2})):
        slots = Slots(cpus=9, cards=9)
        seen: list[float] = []
        submit = slots.submit
        slots.submit = lambda request, submit=submit, seen=seen: (seen.append(request.gpu), submit(request))  # type: ignore[method-assign]
        Watched(plan(node("a", gpu=0.5), node("b")), tmp_path / str(share), slots, RunOptions(gpu_share=share)).run()
        assert set(seen) == told


def test_a_crash_is_tried_again_although_an_earlier_run_left_a_record(tmp_path):
    for told, how in ((["crashed"], "failed"), (["crashed", "ok"], "run")):
        slots = Slots()
        runner = Watched(plan(node("a")), tmp_path, slots)
        slots.status = {next(iter(runner.names)): list(told)}
        runner.run()
        assert runner.hows() == {"a": how}
        assert len(slots.order) == 2


def test_stages_with_one_key_run_once(tmp_path):
    same = [Node(f"n{i}", "clip", (), lambda p: {"one": 1}, lambda p: Task()) for i in range(4)]  # type: ignore[arg-type,return-value]
    for cpus in (1, 4):
        slots = Slots(cpus)
        runner = Watched(plan(*same), tmp_path / str(cpus), slots)
        runner.run()
        assert len(slots.order) == 1
        assert set(runner.hows().values()) == {"run"}


def test_the_run_waits_for_what_another_process_works_on(tmp_path, monkeypatch):
    store = Store(tmp_path)
    runner = Watched(plan(node("a"), node("b", "a"), node("c")), tmp_path, Slots())
    key = runner.progress.key("a")
    lease = store.claim(key)
    assert lease is not None

    def elsewhere(_: float) -> None:
        assert runner.hows() == {"c": "run"}
        store.put(Record(key, "clip", "ok", {}), store.workspace(key))
        lease.release()
        runner._look_again = 0.0

    monkeypatch.setattr("lipbench.engine.runner.time.sleep", elsewhere)
    runner.run()
    assert runner.hows() == {"a": "cached", "b": "run", "c": "run"}


def test_a_circle_is_an_error_and_no_endless_wait(tmp_path):
    runner = Watched(plan(node("a", "b"), node("b", "a"), node("c")), tmp_path, Slots())
    with pytest.raises(RuntimeError, match="wait for each other: a, b"):
        runner.run()


def test_an_input_that_is_not_there_blocks_and_does_not_hang(tmp_path):
    def missing(_: Any) -> dict[str, Any]:
        raise Pending("a")

    lost = Node("b", "clip", ("a",), missing, lambda p: Task())  # type: ignore[arg-type,return-value]
    runner = Runner(plan(node("a"), lost), Store(tmp_path), lambda: Slots(), RunOptions(), lambda *_: None)
    runner.run()
    assert runner.outcome.states["b"].how == "blocked"
    assert runner.outcome.states["b"].reason == "no result of: a"


def test_a_lost_result_is_made_again_before_what_needs_it():
    nodes = {one.id: one for one in (node("a"), node("b", "a"), node("c", "a"), node("d", "c"))}
    schedule = Schedule(nodes)
    assert schedule.due() == "a"
    schedule.end("a", good=True)
    assert [schedule.due(), schedule.due()] == ["b", "c"]
    schedule.end("b", good=True)
    schedule.reopen(["a", "c"])  # c found what a left damaged
    assert schedule.waits("c")
    assert schedule.due() == "a"
    assert schedule.due() is None
    schedule.end("a", good=True)
    assert schedule.due() == "c"  # and b, which has ended, stays ended
    schedule.end("c", good=True)
    assert schedule.due() == "d"
    schedule.reopen(["a", "d"])
    schedule.due()
    assert schedule.end("a", good=False) == []  # d does not need it itself
    assert schedule.due() == "d"


@pytest.mark.parametrize(
    ("cards", "workers", "busy", "expected"),
    [
        # has room for: a stage on a card, one on the CPU, one on the CPU when no card is wanted any more
        ([], 2, 0, (True, True, True)),
        ([], 2, 2, (False, False, False)),
        (["0"], 3, 0, (True, True, True)),
        (["0"], 3, 1, (False, True, True)),  # the first is the card's
        (["0", "1"], 2, 0, (True, True, True)),  # all have cards
        (["0", "1"], 2, 2, (False, False, False)),
    ],
)
def test_a_worker_with_a_card_is_kept_for_what_uses_it(cards, workers, busy, expected, monkeypatch):
    monkeypatch.setattr(local, "cards", lambda: list(cards))
    executor = local.LocalExecutor(workers)
    request = StageRequest("clip", "k", {}, "w", 1.0)
    for worker in executor.workers[:busy]:
        worker.request = request
    assert (executor.has_room(0.5, False), executor.has_room(0, False), executor.has_room(0, True)) == expected
    if cards and workers > len(cards):
        for worker in executor.workers[len(cards) :]:
            worker.request = request
        assert not executor.has_room(0, False)
        assert executor.has_room(0, True) == (not busy)


def test_a_stage_goes_to_the_idle_worker_that_was_at_its_dub(monkeypatch):
    monkeypatch.setattr(local, "cards", lambda: [])
    executor = local.LocalExecutor(3)
    for worker in executor.workers:
        worker.process = SimpleNamespace(poll=lambda: None, stdin=io.StringIO())
    stages = [StageRequest(kind, "k", {}, "w", 1.0, dub=dub) for kind, dub in (("score", "a"), ("score", "b"))]
    for stage in stages:
        executor.submit(stage)
    assert executor.dubs() == ([""], ["a", "b"])
    for worker in executor.workers:
        worker.request = None
    for stage in (stages[1], *[StageRequest("fit", "k", {}, "w", 1.0)] * 2):
        executor.submit(stage)
    assert [worker.request.kind for worker in executor.workers if worker.request] == ["fit", "score", "fit"]
    assert executor.dubs() == ([], ["a", "b", ""])  # a fit makes no worker forget its dub
