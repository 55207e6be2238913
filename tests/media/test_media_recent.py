"""Frames that are read again."""

from __future__ import annotations

import os
import weakref

import numpy as np
import pytest

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.media import recent
from lipbench.media.recent import read_again


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch):
    monkeypatch.setattr(recent, "_kept", {})


@pytest.fixture
def readings(monkeypatch):
    """The videos that were decoded, by name."""
    found = []
    monkeypatch.setattr(recent, "read_frames", lambda path, fps=None, decoder="exact": decoded(path, fps, found))
    return found


def decoded(path, fps, found):
    frames = media.read_frames(path, fps=fps)

    def each():
        found.append(path.name)
        yield from frames

    return each()


def video(folder, name, level, n=4):
    frames = np.full((n, 32, 48, 3), level, np.uint8)
    return media.write_video(folder / name, frames, 25)


def test_the_second_reading_decodes_nothing(tmp_path, readings):
    path = video(tmp_path, "a.mp4", 90)
    first, second = list(read_again(path)), list(read_again(path))
    assert readings == ["a.mp4"]
    np.testing.assert_array_equal(first, list(media.read_frames(path)))
    assert [a is b for a, b in zip(first, second, strict=True)] == [True] * 4
    with pytest.raises(ValueError, match="read-only"):
        first[0][0] = 1


def test_another_file_of_the_same_name_is_read(tmp_path, readings):
    path = video(tmp_path, "a.mp4", 90)
    list(read_again(path))
    os.replace(video(tmp_path, "b.mp4", 200), path)
    assert int(next(read_again(path))[0, 0, 0]) > 190
    assert readings == ["a.mp4", "a.mp4"]


def test_what_was_not_read_to_its_end_is_not_kept(tmp_path, readings):
    path = video(tmp_path, "a.mp4", 90)
    next(read_again(path))
    assert len(list(read_again(path))) == 4
    assert readings == ["a.mp4", "a.mp4"]


def test_a_broken_video_stays_broken(tmp_path):
    path = video(tmp_path, "a.mp4", 90, n=50)
    path.write_bytes(path.read_bytes()[:-200])
    for _ in range(2):
        with pytest.raises(MediaError):
            list(read_again(path))
    with pytest.raises(MediaError):
        read_again(tmp_path / "none.mp4")


def test_its_own_rate_is_no_other(tmp_path, readings):
    path = video(tmp_path, "a.mp4", 90)
    assert len(list(read_again(path))) == len(list(read_again(path, fps=25))) == 4
    assert readings == ["a.mp4"]
    assert len(list(read_again(path, fps=50))) == len(list(read_again(path, fps=50))) == 8
    assert readings == ["a.mp4"] * 3


def test_nothing_is_held_of_a_long_video_on_the_way(tmp_path, monkeypatch):
    path = video(tmp_path, "long.mp4", 90, n=5)
    monkeypatch.setattr(recent, "LONGEST", 4 * 32 * 48 * 3)
    alive, most = [], 0
    for frame in read_again(path):
        assert not frame.flags.writeable
        alive.append(weakref.ref(frame))
        most = max(most, sum(one() is not None for one in alive))
    assert len(alive) == 5
    assert most <= 2


def test_memory_has_a_limit(tmp_path, readings, monkeypatch):
    a, b, c = (video(tmp_path, f"{name}.mp4", 90) for name in "abc")
    long = video(tmp_path, "long.mp4", 90, n=5)
    size = 4 * 32 * 48 * 3
    monkeypatch.setattr(recent, "LIMIT", 2 * size)
    monkeypatch.setattr(recent, "LONGEST", size)
    for path in (a, b, a, c, a, b, long, long):  # b was unused longest when c came
        list(read_again(path))
    assert readings == ["a.mp4", "b.mp4", "c.mp4", "b.mp4", "long.mp4", "long.mp4"]
