"""Files and folders that are written whole or not at all: exceptions, full disks, several writers."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lipbench.core import atomic
from lipbench.core.atomic import atomic_dir, atomic_write, draft, write_json, write_text
from lipbench.core.errors import DiskFull, LipbenchError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


class Stop(BaseException):
    """As KeyboardInterrupt: not an Exception."""


@pytest.mark.parametrize("path", ["out/deep/a.json", "a", ".hidden", "a.tar.gz", "x" * 250 + ".json", "é" * 120])
def test_a_file_appears_with_its_content_and_nothing_else(tmp_path, path):
    write_text(tmp_path / path, "grüße\n")
    assert (tmp_path / path).read_bytes() == "grüße\n".encode()
    assert names((tmp_path / path).parent) == [Path(path).name]


def test_a_draft_lies_beside_its_file_and_has_its_ending(tmp_path):
    with atomic_write(tmp_path / "a.npz") as temporary:
        assert (temporary.parent, temporary.suffix) == (tmp_path, ".npz")
        assert not temporary.exists()
        temporary.touch()


@pytest.mark.parametrize("error", [RuntimeError, Stop, PermissionError])
@pytest.mark.parametrize("writer", [draft, atomic_write])
def test_an_exception_leaves_the_old_file(tmp_path, writer, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), writer(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, Stop])
def test_an_exception_leaves_the_old_folder(tmp_path, error):
    path = tmp_path / "a"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(error), atomic_dir(path) as temporary:  # noqa: PT012
        (temporary / "half").touch()
        raise error
    assert names(path) == ["old"]
    assert names(tmp_path) == ["a"]


def test_a_folder_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "deep" / "a"
    for content in ("one", "two"):
        with atomic_dir(path) as temporary:
            (temporary / content).touch()
        assert names(path) == [content]
        assert names(tmp_path / "deep") == ["a"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_folder_never_replaces_a_file(tmp_path):
    (tmp_path / "a").write_text("a file")
    with pytest.raises(NotADirectoryError), atomic_dir(tmp_path / "a"):
        pass
    assert (tmp_path / "a").read_text() == "a file"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["replace", "fsync", "rename"])
def test_a_disk_that_fills_up_at_any_step(tmp_path, monkeypatch, call, code):
    write_text(tmp_path / "a.txt", "old")
    with atomic_dir(tmp_path / "d") as temporary:
        (temporary / "old").touch()

    def full(*_, **__):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, full)
    with pytest.raises(DiskFull, match="disk is full") as caught:  # noqa: PT012
        if call == "rename":
            with atomic_dir(tmp_path / "d") as temporary:
                (temporary / "new").touch()
        else:
            write_text(tmp_path / "a.txt", "new")
    assert str(tmp_path) in caught.value.what
    assert caught.value.fix
    monkeypatch.undo()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path / "d") == ["old"]
    assert names(tmp_path) == ["a.txt", "d"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_disk_that_is_really_full(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic.secrets, "token_hex", lambda n: "0")
    (tmp_path / ".a.txt.0.txt").symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        write_text(tmp_path / "a.txt", "x" * 100_000)
    assert names(tmp_path) == []


def test_other_errors_come_out_as_they_are(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:
        write_text(tmp_path / "file" / "a.txt", "x")
    assert not isinstance(caught.value, LipbenchError)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert names(tmp_path) == ["file"]


def together(work, n: int) -> list[BaseException]:
    """What n threads raised that ran work(0), ..., work(n - 1) at once."""
    raised: list[BaseException] = []
    barrier = threading.Barrier(n)

    def run(i: int) -> None:
        barrier.wait()
        try:
            work(i)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_readers_see_one_writers_file_whole(tmp_path):
    path, size = tmp_path / "a.json", 20_000
    write_json(path, [0] * size)
    seen: list[list[int]] = []

    def work(i: int) -> None:
        for _ in range(10):
            if i < 3:
                write_json(path, [i] * size)
            else:
                seen.append(json.loads(path.read_text()))

    assert together(work, 5) == []
    assert all(len(x) == size and len(set(x)) == 1 for x in seen)
    assert names(tmp_path) == ["a.json"]


def test_writers_of_one_folder_leave_one_of_theirs_whole(tmp_path):
    def work(i: int) -> None:
        for _ in range(5):
            with atomic_dir(tmp_path / "d") as temporary:
                for name in "abc":
                    (temporary / name).write_text(str(i))

    assert together(work, 3) == []
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["a", "b", "c"]
    assert len({(tmp_path / "d" / name).read_text() for name in "abc"}) == 1


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=300))
def test_any_text_comes_back(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("t") / "a.txt"
    write_text(path, text)
    assert path.read_text(encoding="utf-8") == text
