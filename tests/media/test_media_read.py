"""Reading videos in every shape: containers, time stamps, trims, orientation, sizes, colors."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.media.pixels import Orientation, ToRgb

MPEG4 = {"codec": "mpeg4", "options": {"qscale": "1", "b": "8000000"}}
VP9 = {"codec": "libvpx-vp9", "options": {"lossless": "1", "cpu-used": "8"}}
B_FRAMES = {"options": {"qp": "0", "bf": "3", "g": "12"}}


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", B_FRAMES),
        ("a.mkv", B_FRAMES),
        ("a.mov", {}),
        ("a.ts", B_FRAMES),
        ("a.avi", MPEG4),
        ("a.webm", VP9),
        ("a.h264", {}),
        ("frag.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a:b %d ü.mp4", {}),
    ],
)
def test_every_container_gives_the_same_frames(films, name: str, how: dict) -> None:
    path = films.make(name, 30, 30, **how)
    info = media.probe(path)
    assert (info.width, info.height, info.n_frames, info.vfr, info.rotation) == (64, 48, 30, False, 0)
    assert info.audio is None
    if not name.endswith("h264"):  # a raw stream carries no clock
        assert info.fps == 30
        assert info.duration_s == pytest.approx(1.0, abs=0.002)
        assert films.numbers(media.load_frames(path, fps=25)) == [k for k in range(30) if k % 6 != 3]
        assert films.numbers(media.load_frames(path, start_s=0.5, end_s=0.7)) == [15, 16, 17, 18, 19, 20]
        assert films.numbers(media.load_frames(path, start_s=2 / 3)) == list(range(20, 30))
        assert films.numbers(media.load_frames(path, fps=25, start_s=0.5, end_s=0.7)) == [15, 16, 17, 19, 20]
    frames = media.load_frames(path)
    assert frames.dtype == np.uint8
    assert frames.shape == (30, 48, 64, 3)
    assert frames.flags.c_contiguous
    assert films.numbers(frames) == list(range(30))


def test_variable_rate(films) -> None:
    path = films.make("vfr.mp4", 6, 30, pts=[0, 1, 2, 10, 11, 20], time_base=Fraction(1, 30))
    info = media.probe(path)
    assert info.vfr
    assert info.n_frames == 6
    assert info.duration_s == pytest.approx(0.7)
    assert info.fps == pytest.approx(6 / 0.7)
    assert films.numbers(media.read_frames(path)) == [0, 1, 2, 3, 4, 5]
    assert films.numbers(media.load_frames(path, fps=25)) == [0, 1, *[2] * 6, 3, *[4] * 8, 5]


def test_ntsc_rates_are_exact(films) -> None:
    info = media.probe(films.make("ntsc.mp4", 24, Fraction(24000, 1001)))
    assert info.fps == Fraction(24000, 1001)
    assert not info.vfr
    assert media.probe(films.make("ntsc.mkv", 30, Fraction(30000, 1001))).fps == Fraction(30000, 1001)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.ts"])
def test_time_zero_is_the_first_frame(films, name: str) -> None:
    path = films.make(name, 20, 25, pts=[k + 50 for k in range(20)], time_base=Fraction(1, 25))
    info = media.probe(path)
    assert info.start_s >= 2
    assert info.n_frames == 20
    assert info.duration_s == pytest.approx(0.8, abs=0.002)
    assert films.numbers(media.load_frames(path, fps=25)) == list(range(20))
    assert films.numbers(media.load_frames(path, fps=25, start_s=0.2)) == list(range(5, 20))


def test_frames_before_the_edit_list_are_not_shown(films) -> None:
    """An edit list that starts at frame 5 of one GOP: the first five are needed to decode, never to show."""
    path = films.make("edit.mp4", 30, 25, pts=[k - 5 for k in range(30)], time_base=Fraction(1, 25), **B_FRAMES)
    with av.open(str(path)) as container:
        assert any(packet.is_discard for packet in container.demux(video=0))
    assert media.probe(path).n_frames == 25
    assert films.numbers(media.load_frames(path)) == list(range(5, 30))
    assert films.numbers(media.load_frames(path, fps=25, start_s=0.4)) == list(range(15, 30))


def test_the_last_frame_lasts_as_long_as_its_duration(films) -> None:
    path = films.make("slow.mp4", 3, 1)
    assert media.probe(path).duration_s == 3.0
    assert films.numbers(media.load_frames(path, fps=2)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("gop", [1, 7, 250])
def test_trims_are_exact_wherever_the_key_frames_lie(films, gop: int) -> None:
    path = films.make("gop.mp4", 75, 25, options={"qp": "0", "g": str(gop), "bf": "2"})
    for first in (0, 1, 6, 7, 8, 40, 74):
        got = films.numbers(media.read_frames(path, start_s=first / 25, end_s=(first + 3) / 25))
        assert got == list(range(first, min(first + 3, 75)))


def test_frames_stream(films) -> None:
    """The first frames come although the file breaks later: nothing is read ahead."""
    path = films.make("long.mp4", 60, 25, options={"qp": "0", "g": "5"}, container={"movflags": "+faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    frames = media.read_frames(path)
    assert films.numbers([next(frames), next(frames)]) == [0, 1]


CORNERS = np.zeros((1, 48, 64, 3), np.uint8)
CORNERS[:, :24, :32], CORNERS[:, :24, 32:], CORNERS[:, 24:, :32] = 200, 100, 50


def corners(frame: np.ndarray) -> list[list[int]]:
    """The four corners' levels, to the next ten."""
    return [[int(round(frame[y, x, 0], -1)) for x in (8, -8)] for y in (8, -8)]


@pytest.mark.parametrize(
    ("counterclockwise", "hflip", "expected", "clockwise"),
    [
        (0, False, [[200, 100], [50, 0]], 0),
        (90, False, [[100, 0], [200, 50]], 270),
        (180, False, [[0, 50], [100, 200]], 180),
        (-90, False, [[50, 200], [0, 100]], 90),
        (0, True, [[100, 200], [0, 50]], 0),
    ],
)
def test_rotation_is_applied(films, counterclockwise: int, hflip: bool, expected: list, clockwise: int) -> None:
    path = films.make("turned.mp4", 1, 25, frames=CORNERS, rotation=counterclockwise, hflip=hflip)
    frame = media.load_frames(path)[0]
    info = media.probe(path)
    assert corners(frame) == expected
    assert (info.rotation, info.mirrored) == (clockwise, hflip)
    assert frame.shape == (info.height, info.width, 3)
    if not hflip:
        _, theirs = cv2.VideoCapture(str(path)).read()
        assert corners(theirs) == expected


def test_the_eight_orientations_are_distinct() -> None:
    picture = np.arange(6).reshape(2, 3)
    all_eight = [Orientation(t, x, y) for t in (False, True) for x in (False, True) for y in (False, True)]
    assert len({turn.apply(picture).tobytes() + bytes([turn.transpose]) for turn in all_eight}) == 8
    for quarter, turn in enumerate(
        [Orientation(), Orientation(True, True), Orientation(False, True, True), Orientation(True, False, True)]
    ):
        assert np.array_equal(turn.apply(picture), np.rot90(picture, -quarter))
        assert (turn.degrees, turn.mirrored) == (90 * quarter, False)
    assert sum(turn.mirrored for turn in all_eight) == 4


def smooth(n: int = 2, height: int = 96, width: int = 128) -> np.ndarray:
    """(n, H, W, 3) colors that change slowly, so that 4:2:0 loses next to nothing."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [128 + 90 * np.sin(x / 37 + 0.5), 128 + 90 * np.cos(y / 29), 128 + 90 * np.sin((x + y) / 41 + 2)]
    return np.repeat(np.stack(planes, -1).round().astype(np.uint8)[None], n, 0)


COLORS = {"601": (5, 1), "709": (1, 1), "601 full": (5, 2), "709 full": (1, 2), "2020": (9, 1)}


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le", "yuv444p", "yuv422p10le"])
@pytest.mark.parametrize("tags", COLORS)
def test_color_tags_are_respected(films, pix_fmt: str, tags: str) -> None:
    """Encoded with a matrix and range and tagged so: the same RGB comes back, with no shift in any channel."""
    picture = smooth()
    path = films.make("c.mkv", 2, 25, size=(128, 96), frames=picture, pix_fmt=pix_fmt, color=COLORS[tags])
    error = media.load_frames(path).astype(float) - picture
    assert np.abs(error).mean() < 1
    assert np.abs(error.mean((0, 1, 2))).max() < 0.5
    color = media.probe(path).color
    assert color is not None
    assert (color.matrix, color.range) == COLORS[tags]


@pytest.mark.parametrize("matrix", [1, 5, 6, 9, 2])
@pytest.mark.parametrize("limits", [0, 1, 2])
def test_rgb_is_the_formula_to_the_nearest_level(films, matrix: int, limits: int) -> None:
    """Without tags (matrix 2, range 0) BT.601 limited."""
    picture = np.random.default_rng(0).uniform(25, 230, (48, 64, 3))
    error = ToRgb()(films.encoded(picture, matrix, limits)) - picture
    assert np.abs(error).max() < 2.5  # both roundings: of Y, U and V, and of RGB
    assert np.abs(error.mean((0, 1))).max() < 0.05


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (63, 48)])
def test_odd_sizes_are_read_as_they_are(films, size: tuple[int, int]) -> None:
    path = films.make("odd.mkv", 3, 25, size=size, codec="ffv1", options={}, pix_fmt="yuv420p")
    assert media.load_frames(path).shape == (3, size[1], size[0], 3)
    assert (media.probe(path).width, media.probe(path).height) == size


def test_a_photo_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    photo = smooth(1)[0]
    cv2.imwrite(str(tmp_path / "p.png"), photo[..., ::-1])
    assert media.probe(tmp_path / "p.png").n_frames == 1
    assert np.array_equal(media.load_frames(tmp_path / "p.png")[0], photo)


def test_a_file_is_probed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = media.write_video(tmp_path / "a.mp4", np.zeros((3, 32, 32, 3), np.uint8), 25)
    info, even = media.probe(path), media.on_grid(path, 25)
    module = import_module("lipbench.media.probe")  # the package has a function of that name
    monkeypatch.setattr(module, "open_video", None)
    monkeypatch.setattr(module, "VideoSource", None)
    moved = path.rename(tmp_path / "b.mp4")
    assert media.probe(moved) == replace(info, path=moved)
    assert (even, media.on_grid(moved, 25)) == (True, True)
    with pytest.raises(TypeError, match="not callable"):
        media.on_grid(moved, 30)
