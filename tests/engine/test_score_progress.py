"""What `lipbench score` says while it works."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from lipbench.core import registry, ticks
from lipbench.engine import score_progress
from lipbench.engine.score_progress import PASSES, PlainScoreProgress, ScoreProgress, cost, cost_of, spoken

VIDEO = SimpleNamespace(n_frames=100, width=1000, height=1000)


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def families(*names):
    return [(registry.load("metrics", name), {}) for name in names]


def frames(n):
    for _ in ticks.ticking(range(n)):
        pass


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("LIPBENCH_WEIGHTS", str(tmp_path / "none"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "none"))


def test_the_rest_takes_as_long_as_the_done_part_lets_expect():
    clock = Clock()
    progress = ScoreProgress(clock)
    progress.expect(families("image", "temporal"), VIDEO, 1, [])
    costs = {"videos": cost("videos", VIDEO, 2), "image": cost("image", VIDEO), "temporal": cost("temporal", VIDEO)}
    assert progress.left_s is None
    for step in costs:
        with progress.running(step):
            clock.now += 3 * costs[step] / 2
            frames(50)
            done = sum(costs[s] for s in list(costs)[: list(costs).index(step)]) + costs[step] / 2
            assert progress.share == pytest.approx(done / sum(costs.values()))
            assert progress.left_s == pytest.approx(3 * (sum(costs.values()) - done))
            clock.now += 3 * costs[step] / 2
    assert progress.share == 1
    assert progress.left_s == 0


def test_more_frames_than_the_header_said_are_no_more_than_all():
    progress = ScoreProgress(Clock())
    progress.expect(families("image"), VIDEO, 1, [])
    with progress.running("image"):
        frames(150)
        assert progress.part == 1
    with progress.running("something that nobody expected"):
        frames(3)
    assert 0 < progress.share < 1


def test_sync_goes_over_the_frames_twice():
    progress = ScoreProgress(Clock())
    progress.expect(families("sync"), VIDEO, 0, [])
    assert PASSES["sync"] == 2
    with progress.running("sync"):
        frames(100)
        assert progress.part == 0.5


def test_what_will_not_be_measured_costs_nothing(no_weights):
    lpips, image, sync = (registry.load("metrics", name) for name in ("lpips", "image", "sync"))
    assert cost_of(lpips, {}, VIDEO, 1) == 0
    assert cost_of(image, {}, VIDEO, 0) == 0
    assert 0 < cost_of(image, {}, VIDEO, 2) == pytest.approx(2 * cost_of(image, {}, VIDEO, 1))
    assert cost_of(sync, {}, VIDEO, 0) == cost_of(sync, {}, VIDEO, 2) > 0


def test_fewer_frames_cost_less(monkeypatch):
    monkeypatch.setattr(score_progress.weights, "available", lambda name: True)
    lpips = registry.load("metrics", "lpips")
    assert cost_of(lpips, {"every": 5}, VIDEO, 1) == pytest.approx(cost_of(lpips, {"every": 1}, VIDEO, 1) / 5)


def test_plain_lines_are_few():
    clock, out = Clock(), io.StringIO()
    progress = PlainScoreProgress(out, clock)
    progress.expect(families("image"), VIDEO, 1, ["faces"])
    with progress.running("videos"):
        clock.now += 2
    with progress.running("faces"):
        frames(10)
        clock.now += score_progress.PLAIN_S
        frames(10)
    with progress.running("image"):
        frames(100)
    lines = out.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "[1/3] reading the videos",
        "[2/3] faces of the source",
        "[2/3] faces of the source 11%",
        "[3/3] image",
    ]
    assert "about" not in lines[0]
    assert all(", about " in line and line.endswith(" left") for line in lines[1:])


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s"), (59.4, "59 s"), (100, "1 min 40 s"), (7500, "2 h 5 min")])
def test_times_as_people_say_them(seconds, words):
    assert spoken(seconds) == words


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr", terminal)
    progress = score_progress.create()
    assert isinstance(progress, score_progress.LiveScoreProgress)
    with progress:
        progress.expect(families("image"), VIDEO, 1, [])
        with progress.running("image"):
            frames(100)
    assert 0 < progress._bar.tasks[0].completed == pytest.approx(progress.share)


def test_steps_without_a_listener_are_just_steps():
    assert list(ticks.ticking([1, 2])) == [1, 2]
    heard = []
    with ticks.heard_by(lambda: heard.append(1)):
        assert list(ticks.ticking([1, 2])) == [1, 2]
    list(ticks.ticking([1]))
    assert heard == [1, 1]
