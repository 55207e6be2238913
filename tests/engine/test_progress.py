"""What a run shows while it works."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lipbench.core.errors import WeightsMissing
from lipbench.core.store import Record, Store
from lipbench.engine.plan import Count, Node, Plan, PlanState, counts
from lipbench.engine.progress import LiveProgress, Tally
from lipbench.engine.runner import NodeState


def record(status):
    return SimpleNamespace(status=status)


@pytest.mark.parametrize(
    ("state", "counted"),
    [
        (NodeState("run", record("ok")), "done"),
        (NodeState("cached", record("ok")), "done"),
        (NodeState("run", record("refused")), "refused"),
        (NodeState("cached", record("refused")), "refused"),
        (NodeState("refused", reason="weights_missing: w"), "refused"),
        (NodeState("blocked", reason="no_face: nobody"), "refused"),
        (NodeState("blocked", reason="crashed: killed"), "failed"),
        (NodeState("failed", record("error")), "failed"),
        (NodeState("skipped", reason="stopped"), "failed"),
    ],
)
def test_only_a_result_counts_as_done(state, counted):
    tally = Tally(5)
    tally.add(state)
    assert {name: getattr(tally, name) for name in ("done", "refused", "failed")} == {
        "done": 0,
        "refused": 0,
        "failed": 0,
        counted: 1,
    }


def nodes(*shapes):
    """A plan of (id, needs, refusal) whose keys are the ids."""

    def node(name, needs, refusal):
        return Node(name, "s", needs, lambda p: {"name": name}, lambda p: {}, refusal=refusal)

    return Plan([], {shape[0]: node(*shape) for shape in shapes})


def test_what_is_refused_is_not_cached(tmp_path):
    plan = nodes(("a", (), None), ("b", (), WeightsMissing("w")), ("c", ("b",), None), ("d", ("c",), None))
    assert counts(plan, PlanState(plan, Store(tmp_path)))["s"] == Count(4, 0, 3)


def test_a_refused_input_stops_what_needs_it(tmp_path):
    plan, store = nodes(("a", (), None), ("b", ("a",), None), ("c", (), None)), Store(tmp_path)
    for name, status in (("a", "refused"), ("c", "ok")):
        key = PlanState(plan, store).key(name)
        store.put(Record(key, "s", status, {}), store.workspace(key))
    assert counts(plan, PlanState(plan, store))["s"] == Count(3, 2, 1)


def test_a_stage_without_a_key_cannot_run(tmp_path):
    def missing(_):
        raise WeightsMissing("w")

    plan = Plan([], {"a": Node("a", "s", (), missing, lambda p: {})})
    assert counts(plan, PlanState(plan, Store(tmp_path)))["s"] == Count(1, 0, 1)


def test_the_live_table_tells_them_apart():
    shown = LiveProgress(3, {"s": 3})
    node = Node("s a", "s", (), lambda p: {}, lambda p: {})
    for state in (NodeState("run", record("ok")), NodeState("refused", reason="weights_missing: w")):
        shown("start", node, None)
        shown("end", node, state)
    cells = {column.header: list(column.cells) for column in shown.table().columns}
    assert cells == {"stage": ["s"], "done": ["1/3"], "refused": ["1"], "failed": [""], "running": [""]}
