"""Which frames survive a change of rate: our rule against known numbers and against ffmpeg's own fps filter."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import av.filter
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core.errors import UsageError
from lipbench.media.clock import as_rate, as_time, check_range, slot
from lipbench.media.read import pick
from lipbench.media.source import TimedFrame


class Listed:
    """Stands for a VideoSource: frames at listed ticks, the frame's number in place of its picture."""

    path = "listed"

    def __init__(self, ticks: list[int], last: int, base: Fraction) -> None:
        ends = [*ticks[1:], ticks[-1] + last]
        self.all = [
            TimedFrame(k, (a - ticks[0]) * base, (b - ticks[0]) * base)  # type: ignore[arg-type]
            for k, (a, b) in enumerate(zip(ticks, ends, strict=True))
        ]

    def frames(self, from_s: Fraction = Fraction(0)) -> Iterator[TimedFrame]:
        return (shown for shown in self.all if shown.end > from_s)


def ours(ticks: list[int], last: int, base: Fraction, fps: Fraction, **span: float) -> list[int]:
    picked = pick(Listed(ticks, last, base), fps, span.get("start_s", 0.0), span.get("end_s"))  # type: ignore[arg-type]
    return [shown.frame for shown in picked]  # type: ignore[misc]


def ffmpeg(ticks: list[int], last: int, base: Fraction, fps: Fraction) -> list[int]:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=base)
    rate = graph.add("fps", f"fps={fps}")
    sink = graph.add("buffersink")
    source.link_to(rate)
    rate.link_to(sink)
    graph.configure()
    numbers = []

    def drain() -> None:
        while True:
            try:
                numbers.append(int(memoryview(graph.pull().planes[0])[0]))
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    for k, tick in enumerate(ticks):
        frame = av.VideoFrame(16, 16, "gray")
        frame.planes[0].update(bytes([k]) * frame.planes[0].buffer_size)
        frame.pts, frame.time_base = tick - ticks[0], base
        frame.duration = ([*ticks[1:], ticks[-1] + last])[k] - tick
        graph.push(frame)
        drain()
    graph.push(None)
    drain()
    return numbers


def even(n: int) -> list[int]:
    return list(range(n))


def test_thirty_to_twenty_five_drops_the_fourth_of_six() -> None:
    kept = ours(even(30), 1, Fraction(1, 30), Fraction(25))
    assert kept == [k for k in range(30) if k % 6 != 3]
    assert kept == ffmpeg(even(30), 1, Fraction(1, 30), Fraction(25))


@pytest.mark.parametrize(
    ("rate", "kept"),
    [
        (Fraction(25), even(24)),
        (Fraction(24), [*range(12), 11, *range(12, 24)]),  # one frame in 24 comes twice
        (Fraction(50), [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]),
        (Fraction(60), [1, 3, 5, 8, 10, 13, 15, 17, 20, 22]),
        (Fraction(24000, 1001), [*range(12), 11, *range(12, 24)]),
        (Fraction(30000, 1001), [k for k in range(24) if k % 6 != 3]),
    ],
)
def test_common_rates_to_twenty_five(rate: Fraction, kept: list[int]) -> None:
    got = ours(even(24), 1, 1 / rate, Fraction(25))
    assert got == ffmpeg(even(24), 1, 1 / rate, Fraction(25))
    assert got == kept


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(1, 12), min_size=0, max_size=30),
    st.integers(1, 12),
    st.sampled_from([Fraction(1, 30), Fraction(1, 60), Fraction(1001, 60000), Fraction(1, 100)]),
    st.sampled_from([Fraction(25), Fraction(30), Fraction(24000, 1001), Fraction(10)]),
)
def test_variable_rates_agree_with_ffmpeg(steps: list[int], last: int, base: Fraction, fps: Fraction) -> None:
    ticks = [0]
    for step in steps:
        ticks.append(ticks[-1] + step)
    expected = ffmpeg(ticks, last, base, fps)
    got = ours(ticks, last, base, fps)
    if expected:
        assert got == expected
    else:  # under half a slot in all: ffmpeg drops the clip, a clip here has at least one frame
        assert len(got) == 1


def test_the_grid_begins_at_the_start_of_the_range() -> None:
    thirty = (even(30), 1, Fraction(1, 30), Fraction(25))
    assert ours(*thirty, start_s=0.5, end_s=0.7) == [15, 16, 17, 19, 20]
    # Between two frames: the one on screen, unless the next begins within half a slot.
    assert ours([0, 10, 20], 10, Fraction(1, 10), Fraction(1), start_s=0.5) == [0, 1, 2]
    assert ours([0, 10, 20], 10, Fraction(1, 10), Fraction(1), start_s=0.6) == [1, 2]
    assert ours([0, 10, 20], 10, Fraction(1, 10), Fraction(10), start_s=0.7, end_s=1.2) == [0, 0, 0, 1, 1]
    # A range shorter than a slot still gives one frame.
    assert ours(*thirty, start_s=0.5, end_s=0.501) == [15]


def test_rates_are_exact() -> None:
    assert as_rate(25.0) == 25
    assert as_rate(29.97) == Fraction(2997, 100)
    assert as_rate(30000 / 1001) == Fraction(30000, 1001)
    for bad in (0, -25, float("nan"), float("inf"), "fast"):
        with pytest.raises(UsageError):
            as_rate(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "microseconds"),
    [(0.1 + 0.2, 300_000), (1 / 3, 333_333), (12.3456784, 12_345_678), (12.3456786, 12_345_679), (3600, 3_600_000_000)],
)
def test_times_are_whole_microseconds(seconds: float, microseconds: int) -> None:
    assert as_time(seconds) * 10**6 == microseconds


def test_exact_times_stay_exact() -> None:
    assert as_time(Fraction(1, 3)) == Fraction(1, 3)
    assert check_range(0.04, 2.5) == (Fraction(1, 25), Fraction(5, 2))
    assert check_range(0, None) == (0, None)


@pytest.mark.parametrize("span", [(-1, None), (2, 2), (3, 1)])
def test_bad_ranges_are_refused(span: tuple[float, float | None]) -> None:
    with pytest.raises(UsageError, match="start_s"):
        check_range(*span)


def test_halves_go_up() -> None:
    assert [slot(Fraction(k, 50), Fraction(25)) for k in range(6)] == [0, 1, 1, 2, 2, 3]
    assert slot(Fraction(-1, 50), Fraction(25)) == 0
