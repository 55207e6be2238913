from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lipbench.metrics.shelf import PART, Shelf

SIZE = 24  # bytes of a result below


def picture(n: int) -> np.ndarray:
    return np.full((2, 3, 3), n, np.uint8)


def result(n: float) -> list[np.ndarray]:
    return [np.full((2, 2), n, np.float32), np.arange(2, dtype=np.float32)]


def found(kept: Shelf, n: int) -> float | None:
    """The number that is kept for a picture."""
    arrays = kept.get(picture(n))
    if arrays is None:
        return None
    assert [a.shape for a in arrays] == [(2, 2), (2,)]
    assert arrays[1].tolist() == [0, 1]
    return float(arrays[0][1, 1])


def test_pixels_and_shape_are_the_key():
    kept = Shelf(100)
    kept.put(picture(1), result(0.1))
    assert found(kept, 1) == np.float32(0.1)
    assert kept.get(picture(1)[:, ::-1]) is not None  # the same pixels, another memory order
    assert found(kept, 2) is None
    assert kept.get(picture(1).reshape(3, 2, 3)) is None


def test_what_was_taken_may_be_written_into_and_outlives_the_file():
    kept = Shelf(SIZE)
    kept.put(picture(1), result(1))
    kept.get(picture(1))[0][:] = 7
    taken = kept.get(picture(1))
    assert taken[0].tolist() == [[1, 1], [1, 1]]
    kept.turn("next")
    kept.put(picture(2), result(2))  # in its place
    assert found(kept, 1) is None
    assert taken[0].tolist() == [[1, 1], [1, 1]]


def test_putting_twice_costs_once():
    kept = Shelf(100)
    kept.put(picture(1), result(1))
    kept.put(picture(1), result(2))
    assert (found(kept, 1), kept.used) == (1, SIZE)


def test_the_next_users_pictures_push_out_the_file_that_is_longest_unused():
    kept = Shelf(4 * SIZE)
    for user, numbers in (("a", (1, 2)), ("b", (3, 4))):
        kept.turn(user)
        for n in numbers:
            kept.put(picture(n), result(n))
    kept.turn("c")
    assert found(kept, 1) == 1  # so a's file is in use again
    kept.put(picture(5), result(5))
    assert [found(kept, n) for n in (1, 2, 3, 4, 5)] == [1, 2, None, None, 5]
    assert kept.used == 3 * SIZE
    kept.put(picture(6), result(6))
    kept.put(picture(7), result(7))
    assert [found(kept, n) for n in (1, 2, 5, 6, 7)] == [1, 2, 5, 6, None]


def test_a_user_does_not_push_out_its_own():
    """Going round a clip that does not fit would otherwise find nothing at all."""
    kept = Shelf(2 * SIZE)
    for _ in range(2):
        kept.turn("a")
        for n in range(4):
            if found(kept, n) is None:
                kept.put(picture(n), result(n))
    assert [found(kept, n) for n in range(4)] == [0, 1, None, None]


def test_what_can_never_fit_pushes_nothing_out():
    kept = Shelf(SIZE)
    kept.turn("a")
    kept.put(picture(1), result(1))
    kept.turn("b")
    kept.put(picture(2), [*result(2), *result(2)])
    assert found(kept, 1) == 1


def test_a_part_of_the_free_disk_is_taken_at_most(monkeypatch):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=PART * 3 * SIZE))
    kept = Shelf(1 << 30)
    for n in range(5):
        kept.put(picture(n), result(n))
    assert [found(kept, n) for n in range(5)] == [0, 1, 2, None, None]


def test_a_full_disk_keeps_nothing_more(monkeypatch):
    kept = Shelf(1 << 30)
    kept.put(picture(1), result(1))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("lipbench.metrics.shelf._File.write", full)
        kept.put(picture(2), result(2))
    kept.put(picture(3), result(3))
    assert [found(kept, n) for n in (1, 2, 3)] == [1, None, None]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_no_file_has_a_name_and_none_stays_open(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    kept = Shelf(SIZE)
    for user in "abc":
        kept.turn(user)
        kept.put(picture(ord(user)), result(1))
        assert os.listdir(tmp_path) == []
        assert len(os.listdir("/proc/self/fd")) == before + 1
    del kept
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before
