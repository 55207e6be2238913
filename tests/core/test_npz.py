"""Files that are missing, cut short, of another schema or without an array say what to do."""

from __future__ import annotations

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
