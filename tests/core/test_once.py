"""What a file tells is asked of it once, and again when it is another file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lipbench.core.once import once_per_file


def test_a_file_is_asked_once_until_it_changes(tmp_path: Path) -> None:
    asked: list[str] = []

    @once_per_file(2)
    def told(path: Path, ending: str = "") -> str:
        asked.append(path.name)
        return path.read_text() + ending

    file = tmp_path / "file"
    file.write_text("one")
    assert (told(file), told(str(file)), told(file)) == ("one", "one", "one")
    assert asked == ["file"]
    assert told(file, "!") == "one!"
    file.write_text("other")
    assert told(file) == "other"
    os.utime(file, ns=(1, 1))  # the same size, but somebody wrote it
    told(file)
    assert len(asked) == 4
    for name in "abc":
        (tmp_path / name).write_text(name)
        told(tmp_path / name)
    told(file)  # two others came since
    assert asked[4:] == ["a", "b", "c", "file"]


def test_what_is_no_file_is_asked_each_time(tmp_path: Path) -> None:
    names = once_per_file(2)(lambda folder: sorted(p.name for p in folder.iterdir()))
    assert names(tmp_path) == []
    (tmp_path / "new").touch()
    assert names(tmp_path) == ["new"]


def test_errors_are_not_kept(tmp_path: Path) -> None:
    @once_per_file(2)
    def number(path: Path) -> int:
        return int(path.read_text())

    with pytest.raises(FileNotFoundError):
        number(tmp_path / "n")
    (tmp_path / "n").write_text("7")
    assert number(tmp_path / "n") == 7
