"""Other tools' ways to another frame rate, and how a file is found to need none."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import Truncated
from lipbench.media import color
from lipbench.media.grids import GRIDS, by_time_stamps, ffmpeg_5_avi, ffmpeg_5_r, ffmpeg_r, mean_lag, on_screen
from lipbench.media.pixels import Color
from lipbench.media.thumbnails import SIDE, thumbnails

SECOND = Fraction(1)


def times(n: int, fps: int | Fraction) -> tuple[list[Fraction], Fraction]:
    return [k / Fraction(fps) for k in range(n)], n / Fraction(fps)


def left_out(picks: list[int]) -> list[int]:
    return sorted(set(range(picks[-1] + 1)) - set(picks))


def test_ffmpeg_r_as_ffmpeg_does_it() -> None:
    """90 frames at 30 fps with `-r 25`: ffmpeg 9 leaves out 12, 18, ..., ffmpeg 5.1 13, 19, ...; both write 77."""
    now, then = ffmpeg_r(*times(90, 30), Fraction(25)), ffmpeg_5_r(*times(90, 30), Fraction(25))
    assert (len(now), len(then)) == (77, 77)
    assert left_out(now) == [12, 18, 24, 30, 36, 42, 48, 54, 60, 66, 72, 78, 84]
    assert left_out(then)[:3] == [13, 19, 25]
    # and from 30 to 24 fps: 74 frames, of every five one goes once the picture is late
    assert len(ffmpeg_r(*times(90, 30), Fraction(24))) == 74


def test_the_published_route_lags() -> None:
    """Into an AVI ffmpeg 5 drops sooner: 47 ms late in the mean at 30 fps; lipbench's own rule is never late."""
    starts, end = times(1800, 30)
    assert round(1000 * float(mean_lag(ffmpeg_5_avi(starts, end, Fraction(25)), starts, Fraction(25)))) == 47
    assert abs(mean_lag(by_time_stamps(starts, end, Fraction(25)), starts, Fraction(25))) < Fraction(1, 1000)


@pytest.mark.parametrize("name", GRIDS)
def test_equal_rates_change_nothing(name: str) -> None:
    assert GRIDS[name](*times(50, 25), Fraction(25)) == list(range(50))


@pytest.mark.parametrize("rule", [ffmpeg_r, ffmpeg_5_r, ffmpeg_5_avi, on_screen])
@pytest.mark.parametrize(("fps", "to"), [(24, 25), (25, 30), (50, 25), (60, 25), (Fraction(30000, 1001), 25), (15, 25)])
def test_every_rule_keeps_order_and_length(rule, fps, to: int) -> None:
    picks = rule(*times(int(4 * fps), fps), Fraction(to))
    assert picks == sorted(picks)
    assert abs(len(picks) - 4 * to) <= 3
    assert abs(picks[-1] - int(4 * fps)) <= 5


def test_on_screen_is_the_frame_shown_then() -> None:
    assert on_screen(*times(30, 30), Fraction(25))[:7] == [0, 1, 2, 3, 4, 6, 7]
    assert on_screen([Fraction(0), Fraction(1, 2)], SECOND, Fraction(4)) == [0, 0, 1, 1]


def test_by_time_stamps_is_the_readers_own_rule(films) -> None:
    for name, pts in (("a.mp4", None), ("b.mp4", [0, 1, 2, 10, 11, 20])):
        path = films.make(name, 6 if pts else 45, 30, pts=pts, time_base=Fraction(1, 30))
        seen = thumbnails(path)
        picks = by_time_stamps(seen.starts, seen.end, Fraction(25))
        assert films.numbers(media.read_frames(path, fps=25)) == picks


def test_chosen_frames_are_written(films) -> None:
    path = films.make("a.mp4", 30, 30)
    picks = [0, 0, 2, 3, 7, 7, 7, 29]
    media.normalize_clip(path, films.folder / "b.mp4", picks=picks)
    assert films.numbers(media.read_frames(films.folder / "b.mp4")) == picks


def test_what_lies_on_the_grid_is_known(films) -> None:
    assert media.on_grid(films.make("a.mp4", 20, 25), 25)
    assert media.on_grid(films.make("late.mkv", 20, 25, pts=[k + 7 for k in range(20)]), 25)
    assert not media.on_grid(films.make("b.mp4", 20, 30), 25)
    assert not media.on_grid(films.make("hole.mp4", 20, 25, pts=[*range(10), *range(11, 21)]), 25)
    cut = films.make("cut.mkv", 60, 25, codec="ffv1", options={})
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(Truncated):
        media.on_grid(cut, 25)


@pytest.mark.parametrize("rotation", [0, 90])
def test_thumbnails(films, rotation: int) -> None:
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[:150] = 200
    path = films.make("a.mp4", 4, 25, size=(400, 300), frames=picture[None].repeat(4, 0), rotation=rotation)
    seen = thumbnails(path, limit=3)
    assert seen.pictures.shape == (3, *((128, 96) if rotation else (96, 128)))
    assert max(seen.pictures.shape[1:]) == SIDE
    assert (seen.whole, seen.interlaced, seen.starts[2], seen.end) == (False, 0, Fraction(2, 25), Fraction(3, 25))
    assert np.abs(media.load_frames(path)[0].mean() - seen.pictures[0].mean()) < 2
    assert thumbnails(path).whole
    assert thumbnails(path) is thumbnails(path)


BT709, FULL, NONE = Color(1, 1, 1, 1), Color(1, 1, 1, 2), Color(2, 2, 2, 0)
PQ, HLG = Color(9, 9, 16, 1), Color(9, 9, 18, 1)
BT601, PAL = Color(6, 1, 1, 1), Color(5, 2, 2, 0)


@pytest.mark.parametrize(
    ("mine", "theirs", "differ"),
    [
        (BT709, BT709, False),
        (NONE, BT601, False),  # what has no tags is read as this
        (PAL, BT601, False),
        (NONE, BT709, True),
        (BT601, BT709, True),
        (BT709, FULL, True),
        (Color(0, 1, 1, 2), BT709, False),
    ],
)
def test_color_tags_that_mean_something_else_are_remarked(mine: Color, theirs: Color, differ: bool) -> None:
    assert (color.remark(mine, theirs, "reference") is not None) == differ
    assert (color.remark(theirs, mine, "reference") is not None) == differ
    assert color.refusal(mine, theirs, "reference") is None


def test_color_remarks_name_both_sides() -> None:
    found = color.remark(NONE, BT709, "reference")
    assert found is not None
    assert "no color tags (read as BT.601 limited), the reference BT.709 limited" in found
    assert "full" in str(color.remark(BT709, FULL, "truth"))


@pytest.mark.parametrize(("mine", "theirs"), [(BT709, PQ), (PQ, BT709), (NONE, HLG), (PQ, HLG)])
def test_hdr_against_other_curves_is_refused(mine: Color, theirs: Color) -> None:
    found = color.refusal(mine, theirs, "reference")
    assert found is not None
    assert found.startswith("color_mismatch: ")
    assert color.refusal(PQ, PQ, "reference") is None
