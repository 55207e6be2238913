"""Files that are missing, cut short, of another schema or without an array say what to do."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lipbench.core import npz
from lipbench.core.errors import MediaError, UsageError


def test_arrays_come_back_without_the_schema(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", schema=3, x=np.arange(4), name="n")
    found = npz.load(tmp_path / "a.npz", 3, "the thing", "make it again", ["x"])
    assert set(found) == {"x", "name"}
    np.testing.assert_array_equal(found["x"], np.arange(4))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    good = tmp_path / "good.npz"
    np.savez(good, schema=3, x=np.arange(400))
    (tmp_path / "cut.npz").write_bytes(good.read_bytes()[:300])
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("no arrays")
    np.savez(tmp_path / "bare.npz", x=1)
    for name in ("absent", "cut", "empty", "text", "bare"):
        with pytest.raises(MediaError) as error:
            npz.load(tmp_path / f"{name}.npz", 3, "the thing", "make it again")
        assert "cannot read the thing" in str(error.value)
        assert error.value.fix == "make it again"
    with pytest.raises(UsageError, match="schema is 3, this lipbench reads 4"):
        npz.load(good, 4, "the thing", "make it again", error=UsageError)
    with pytest.raises(MediaError, match="it has no y"):
        npz.load(good, 3, "the thing", "make it again", ["x", "y"])


@pytest.mark.parametrize("compressed", [True, False])
def test_what_is_saved_is_what_was_given(tmp_path: Path, compressed: bool) -> None:
    arrays = {"x": np.arange(4, dtype=np.float16), "note": np.array("é"), "schema": 3}
    npz.save(tmp_path / "a.npz", arrays, compressed=compressed)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as held:
        assert set(held.files) == set(arrays)
        assert held["x"].dtype == np.float16
        np.testing.assert_array_equal(held["x"], arrays["x"])
        assert str(held["note"]) == "é"


def test_objects_are_not_pickled(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="odd holds Python objects"):
        npz.save(tmp_path / "a.npz", {"x": np.arange(2), "odd": np.array([{}, None])})
    assert not (tmp_path / "a.npz").exists()


@pytest.mark.parametrize("compressed", [True, False])
def test_arrays_are_read_into_the_room_that_is_made_for_them(tmp_path: Path, compressed: bool) -> None:
    arrays = {
        "x": np.arange(3_000_000, dtype=np.int16).reshape(1000, 3000),  # more than is read at once
        "turned": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "name": np.array("n"),
        "none": np.array((), np.str_),
        "schema": np.array(3),
    }
    npz.save(tmp_path / "a.npz", arrays, compressed=compressed)
    made: list[np.ndarray] = []

    def room(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        made.append(np.empty(shape, dtype))
        return made[-1]

    found = npz.load(tmp_path / "a.npz", 3, "the thing", "make it again", ["x"], room=room)
    assert found["x"] is made[0]
    for name in ("x", "turned", "name", "none"):
        np.testing.assert_array_equal(found[name], arrays[name])
        assert found[name].dtype == arrays[name].dtype


def test_objects_and_short_arrays_find_no_room(tmp_path: Path) -> None:
    np.savez(tmp_path / "odd.npz", schema=3, odd=np.array([{}], object))
    np.savez(tmp_path / "short.npz", schema=3)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i2", "fortran_order": False, "shape": (9,)})
    with zipfile.ZipFile(tmp_path / "short.npz", "a") as file:
        file.writestr("x.npy", header.getvalue() + bytes(10))
    for name, why in (("odd", "holds Python objects"), ("short", "ends too early")):
        with pytest.raises(MediaError, match=why):
            npz.load(tmp_path / f"{name}.npz", 3, "the thing", "make it again", room=np.empty)
