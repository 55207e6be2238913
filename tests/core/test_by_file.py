"""What is made of a file is made again when the file changes, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lipbench.core.by_file import identity, remembered


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("one")
    return path


def reader(kept: int = 4, largest: int | None = None):
    asked: list[str] = []

    @remembered(kept=kept, largest=largest)
    def read(path: Path, suffix: str = "") -> list[str]:
        asked.append(path.name + suffix)
        return [path.read_text() + suffix]

    return read, asked


def test_the_same_file_gives_the_same_object_wherever_it_is_moved(file: Path) -> None:
    read, asked = reader()
    first = read(file)
    assert read(str(file)) is first
    assert read(file.rename(file.with_name("b.txt"))) is first
    assert asked == ["a.txt"]


def test_a_file_that_was_written_again_is_read_again(file: Path) -> None:
    read, _ = reader()
    assert read(file) == ["one"]
    file.write_text("other")
    assert read(file) == ["other"]


def test_a_file_of_the_same_size_that_somebody_wrote_is_read_again(file: Path) -> None:
    read, asked = reader()
    read(file)
    os.utime(file, ns=(1, 1))
    assert read(file) == ["one"]
    assert len(asked) == 2


def test_other_arguments_have_their_own_answer(file: Path) -> None:
    read, asked = reader()
    assert (read(file), read(file, "!"), read(file, suffix="?")) == (["one"], ["one!"], ["one?"])
    assert len(asked) == 3


def test_the_longest_unused_answer_goes(tmp_path: Path) -> None:
    read, asked = reader(kept=2)
    files = [tmp_path / name for name in "abc"]
    for path in files:
        path.write_text(path.name)
    for path in (files[0], files[1], files[0], files[2], files[0], files[1]):
        assert read(path) == [path.name]
    assert asked == ["a", "b", "c", "b"]


def test_nothing_is_kept_of_large_files(file: Path) -> None:
    read, asked = reader(largest=2)
    assert read(file) is not read(file)
    assert len(asked) == 2


def test_errors_are_not_remembered(file: Path) -> None:
    read, _ = reader()
    file.rename(file.with_name("gone"))
    with pytest.raises(FileNotFoundError):
        read(file)
    file.write_text("back")
    assert read(file) == ["back"]


def test_a_folder_has_no_identity(tmp_path: Path) -> None:
    assert identity(tmp_path) is None
