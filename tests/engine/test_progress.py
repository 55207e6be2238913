"""What a run shows while it works."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lipbench.core.errors import WeightsMissing
from lipbench.core.store import Record, Store
from lipbench.engine import estimate
from lipbench.engine.outcome import NodeState
from lipbench.engine.plan import Count, Node, Plan, PlanState, counts
from lipbench.engine.progress import LiveProgress, PlainProgress, Tally


def record(status):
    return SimpleNamespace(status=status, timing={}, info={}, scores={})


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


def stage(name, kind="s"):
    return Node(name, kind, (), lambda p: {}, lambda p: {})


def made(kind, wall_s, **more):
    return Record("k", kind, "ok", {}, timing={"wall_s": wall_s}, **more)


def test_the_live_table_tells_them_apart():
    shown = LiveProgress([stage("s a"), stage("s b"), stage("s c")])
    for name, state in (("s a", NodeState("run", record("ok"))), ("s b", NodeState("refused", reason="no_face: x"))):
        shown("start", stage(name), None)
        shown("end", stage(name), state)
    cells = {column.header: list(column.cells) for column in shown.table().columns}
    empty = {"failed": [""], "frames/s": [""], "running": [""]}
    assert cells == {"stage": ["s"], "done": ["1/3"], "refused": ["1"], **empty}


@pytest.fixture
def now(monkeypatch):
    """The time, moved by hand."""
    at = [100.0]
    monkeypatch.setattr(estimate.time, "monotonic", lambda: at[0])
    return at


def test_the_live_table_says_how_far_how_fast_and_how_long(now):
    videos = [stage(f"synthesize w clip/{i}", "synthesize") for i in range(4)]
    shown = LiveProgress([*videos, stage("clip a", "clip")])
    shown("end", stage("clip a", "clip"), NodeState("run", made("clip", 1.0)))
    for node in videos[:2]:
        shown("start", node, None)
    now[0] += 10
    shown("end", videos[0], NodeState("run", made("synthesize", 10.0, info={"frames": 75})))
    shown("start", videos[2], None)
    now[0] += 4
    cells = {column.header: list(column.cells) for column in shown.table().columns}
    assert cells["stage"] == ["video", "clip"]
    assert cells["done"] == ["1/4", "1/1"]
    assert cells["frames/s"] == ["7.5", ""]
    assert cells["running"][0] == "w clip/1 0:14 of about 0:10, w clip/2 0:04 of about 0:10"
    # 3 videos of 10 s, of which one has had its time and one 4 s, two at a time.
    assert shown.estimate.left() == (pytest.approx(8.0), True)
    assert shown.view().renderables[1] == "2/5 stages, 0:14 so far, about 0:08 left"


def test_a_result_that_is_made_again_is_taken_back():
    shown, node, state = LiveProgress([stage("s a")]), stage("s a"), NodeState("cached", record("ok"))
    shown("end", node, state)
    shown("again", node, state)
    assert (shown.kinds["s"].done, shown.kinds["s"].failed) == (0, 0)
    shown("end", node, state)
    assert shown.kinds["s"].done == 1


def test_times_of_cached_stages_count_and_unknown_ones_are_told(now):
    nodes = [stage(f"fit m clip{i}", "fit") for i in range(3)] + [stage("score f of m clip/fr", "score")]
    known = estimate.Estimate(nodes)
    assert known.left() is None
    assert known.words() == "0:00 so far"
    known("end", nodes[0], NodeState("cached", made("fit", 3600.0)))
    assert known.left() == (7200.0, False)
    now[0] += 61
    assert known.words() == "1:01 so far, more than 2:00:00 left"
    known("end", nodes[3], NodeState("refused", reason="x"))
    assert known.left() == (7200.0, True)
    for node in nodes[1:3]:
        known("end", node, NodeState("failed", record("error")))
    assert known.words() == "1:01 so far"


def test_a_method_goes_by_its_own_times_and_a_new_one_by_all():
    known = estimate.Estimate([])
    for label, wall in (("slow", 90.0), ("fast", 10.0), ("fast", 20.0)):
        known("end", stage(f"synthesize {label} c/fr", "synthesize"), NodeState("run", made("synthesize", wall)))
    assert [known.usual(("synthesize", label)) for label in ("slow", "fast", "new")] == [90, 15, 40]
    assert known.usual(("fit", "slow")) is None


def test_plain_lines_say_what_happened_in_plain_words(now, capsys):
    nodes = [stage("synthesize w c/fr", "synthesize"), stage("score f of w c/fr", "score"), stage("fit w c", "fit")]
    shown = PlainProgress(nodes)
    now[0] += 75
    shown("end", nodes[0], NodeState("run", made("synthesize", 10.0, info={"frames": 75})))
    shown("end", nodes[1], NodeState("cached", Record("k", "score", "refused", {})))
    shown("end", nodes[2], NodeState("run", Record("k", "fit", "refused", {}), "no_face: nobody"))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "[1/3] ok video w c/fr 10.0 s, 7.5 frames/s (1:15 so far)",
        "[3/3] refused training w c: no_face: nobody (1:15 so far)",
    ]
    PlainProgress(nodes, silent=True)("end", nodes[0], NodeState("failed", record("error"), "x"))
    assert capsys.readouterr().err == ""
