"""The cache of all run directories: taken over, given to, shrunk; and never a reason for a run to fail."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lipbench.core import atomic, shared
from lipbench.core.errors import Remark, UsageError
from lipbench.core.integrity import describe
from lipbench.core.record import Record
from lipbench.core.run_store import RunStore
from lipbench.core.shared import SharedCache, cache_of_user, limit_of_user, size
from lipbench.core.store import Store

KEY = "ab" * 32


def key_of(number: int) -> str:
    return f"{number:02x}" * 32


class Machine:
    """Run directories with one cache."""

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder, self.limit = folder, limit

    @property
    def cache(self) -> SharedCache:
        return SharedCache(self.folder / "cache", self.limit)

    def run(self, name: str) -> RunStore:
        store = RunStore(self.folder / name, self.cache)
        store.begin()
        return store

    def looks(self, name: str) -> RunStore:
        """As a dry run does."""
        return RunStore(self.folder / name, self.cache)


def publish(store: Store, key: str = KEY, kind: str = "faces", status: str = "ok", text: str = "video") -> Record:
    workspace = store.workspace(key)
    file = workspace / "out" / "video.mp4"
    file.write_text(text)
    (workspace / "out" / "deep").mkdir()
    (workspace / "out" / "deep" / "beside").write_text("beside")
    (workspace / "log.txt").write_text("log")
    (workspace / "job.json").write_text("{}")
    outputs, rest = describe(workspace / "out", {"video": file})
    return store.put(Record(key, kind, status, {}, outputs, rest), workspace)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the cache lay on another file system."""

    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(atomic.os, "link", refuse)
    monkeypatch.setattr(shared, "on_one_device", lambda *_: False)


def test_what_one_run_made_the_next_has(machine: Machine) -> None:
    made = publish(machine.run("a"))
    second = machine.run("b")
    assert second.take(KEY) == made
    video = second.output(made, "video")
    assert video == machine.folder / "b" / "objects" / KEY[:2] / KEY / "out" / "video.mp4"
    assert video.read_text() == "video"
    assert video.stat().st_nlink == 3  # one file in two runs and the cache
    assert (second.directory(KEY) / "log.txt").read_text() == "log"
    shutil.rmtree(machine.folder / "cache")
    assert second.take(KEY) == made  # it is the run's own
    assert [*(machine.folder / "b" / "work").iterdir()] == []


def test_a_look_takes_nothing_over(machine: Machine) -> None:
    made = publish(machine.run("a"))
    assert machine.looks("b").take(KEY) == made
    assert not (machine.folder / "b").exists()
    assert machine.looks("c").take(key_of(7)) is None


def test_a_look_makes_no_cache(machine: Machine) -> None:
    assert machine.looks("a").take(KEY) is None
    assert [*machine.folder.iterdir()] == []


@pytest.mark.parametrize("status", ["refused", "error", "crashed"])
def test_only_results_are_shared(machine: Machine, status: str) -> None:
    publish(machine.run("a"), status=status)
    assert machine.run("b").take(KEY) is None


def test_a_failed_attempt_gives_way_to_what_another_run_made(machine: Machine) -> None:
    publish(machine.run("b"), status="crashed")
    made = publish(machine.run("a"))
    assert machine.run("b").take(KEY) == made


def test_another_run_that_makes_it_right_now_is_waited_for(machine: Machine) -> None:
    first, second = machine.run("a"), machine.run("b")
    lease = first.claim(KEY)
    assert lease is not None
    assert lease.mine()
    assert second.claim(KEY) is None
    assert [*(machine.folder / "b" / "leases").iterdir()] == []
    publish(first)
    lease.release()
    assert second.take(KEY) is not None
    again = second.claim(KEY)
    assert again is not None
    again.release()
    assert [*(machine.folder / "cache" / "leases").iterdir()] == []


def test_copies_where_links_cannot_be(machine: Machine, no_links: None) -> None:
    made = publish(machine.run("a"))
    second = machine.run("b")
    assert second.take(KEY) == made
    assert second.output(made, "video").stat().st_nlink == 1
    assert second.fault(made, content=True) is None


@pytest.mark.parametrize("kind", ["clip", "prepare", "fit"])
def test_what_no_report_shows_is_copied_when_it_is_read(machine: Machine, no_links: None, kind: str) -> None:
    made = publish(machine.run("a"), kind=kind)
    second = machine.run("b")
    assert second.take(KEY) == made
    assert not (second.directory(KEY) / "out").exists()
    assert second.take(KEY) == made
    assert second.fault(made, needed=True) is None
    assert second.output(made, "video").read_text() == "video"
    assert (second.directory(KEY) / "out" / "deep" / "beside").read_text() == "beside"


def test_what_was_not_copied_and_is_gone_is_made_again(machine: Machine, no_links: None) -> None:
    made = publish(machine.run("a"), kind="fit")
    second = machine.run("b")
    second.take(KEY)
    machine.cache.prune(0)
    assert second.take(KEY) == made  # nobody reads it
    assert second.fault(made, needed=True) == "out/video.mp4 is missing"
    with pytest.warns(Remark):
        assert second.set_aside(KEY, needed=True)
    assert second.take(KEY) is None


def test_a_damaged_file_is_damaged_in_all_that_link_to_it(machine: Machine) -> None:
    first, second = machine.run("a"), machine.run("b")
    made = publish(first)
    second.take(KEY)
    video = second.output(made, "video")
    stat = video.stat()
    video.write_text("VIDEO")  # in place: the cache and the other run have the same file
    os.utime(video, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
    with pytest.warns(Remark):
        assert second.set_aside(KEY, content=True)
    assert second.take(KEY) is None  # not taken over again
    with pytest.warns(Remark):
        assert first.set_aside(KEY, content=True)
    publish(second)
    assert first.take(KEY) is not None


def test_a_file_put_in_the_place_of_a_link_comes_back_from_the_cache(machine: Machine) -> None:
    store = machine.run("a")
    made = publish(store)
    store.output(made, "video").unlink()
    with pytest.warns(Remark, match="out/video.mp4 is missing"):
        assert store.take(KEY) == made
    assert store.output(made, "video").read_text() == "video"


def test_a_damaged_cache_costs_what_it_held(machine: Machine) -> None:
    publish(machine.run("a"))
    (machine.folder / "cache" / "objects" / KEY[:2] / KEY / "record.json").write_text("{")
    with pytest.warns(Remark, match="cache: the result abababababab is damaged"):
        assert machine.run("b").take(KEY) is None
    assert not (machine.folder / "cache" / "objects" / KEY[:2] / KEY).exists()


def test_a_cache_that_cannot_be_used_is_no_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.folder / "cache").write_text("a file")
    with pytest.warns(Remark, match="cannot be used .it is a file.; going on without it"):
        store = machine.run("a")
    lease = store.claim(KEY)
    assert lease is not None
    publish(store)
    lease.release()
    store.end()
    assert store.take(KEY) is not None


def test_a_full_cache_is_no_error(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    store = machine.run("a")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shared, "link_tree", full)
    with pytest.warns(Remark, match="No space left on device"):
        publish(store)
    publish(store, key_of(1))  # and not a word more
    assert store.take(KEY) is not None
    store.end()


def used(machine: Machine, key: str, when: float) -> None:
    os.utime(machine.folder / "cache" / "objects" / key[:2] / key, (when, when))


def held(machine: Machine) -> set[str]:
    return {entry.key for entry in machine.cache.entries()}


def test_the_least_used_goes_first(machine: Machine) -> None:
    store = machine.run("a")
    keys = [key_of(i) for i in range(4)]
    for i, key in enumerate(keys):
        publish(store, key, text="x" * 10_000)
        used(machine, key, 1000.0 + i)
    machine.run("b").take(keys[0])  # used just now
    would = machine.cache.prune(30_000, dry=True)
    assert [entry.key for entry in would] == [keys[1], keys[2]]
    assert held(machine) == {*keys}
    gone = machine.cache.prune(30_000)
    assert [entry.key for entry in gone] == [keys[1], keys[2]]
    assert held(machine) == {keys[0], keys[3]}
    assert all(entry.shared > 10_000 for entry in gone)  # links of the run
    assert [record.key for record in store.records()] != []


def test_a_run_ends_within_the_limit_and_keeps_what_it_used(tmp_path: Path) -> None:
    machine = Machine(tmp_path, limit=25_000)
    first = machine.run("a")
    for i in range(3):
        publish(first, key_of(i), text="x" * 10_000)
    first.end()
    assert len(held(machine)) == 3  # all of this run
    for i in range(3):
        used(machine, key_of(i), 1000.0 + i)
    second = machine.run("b")
    second.take(key_of(0))
    publish(second, key_of(3), text="x" * 10_000)
    second.end()
    assert held(machine) == {key_of(0), key_of(3)}


def test_there_is_a_way_to_have_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_of_user() is None  # as for all tests
    monkeypatch.setenv("LIPBENCH_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = cache_of_user()
    assert found is not None
    assert (found.folder, found.limit) == (tmp_path / "lipbench" / "stages", 20 * 10**9)
    monkeypatch.setenv("LIPBENCH_CACHE", str(tmp_path / "mine"))
    found = cache_of_user()
    assert found is not None
    assert found.folder == tmp_path / "mine"
    assert not found.folder.exists()
    store = RunStore(tmp_path / "run", None)
    store.begin()
    publish(store)
    store.end()
    assert store.take(KEY) is not None


@pytest.mark.parametrize(
    ("text", "n_bytes"),
    [("20 GB", 20 * 10**9), ("500M", 5 * 10**8), ("1.5t", 15 * 10**11), ("7", 7), ("3kb", 3000), ("none", None)],
)
def test_sizes(text: str, n_bytes: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIPBENCH_CACHE_LIMIT", text)
    assert limit_of_user() == n_bytes


@pytest.mark.parametrize("text", ["much", "-3 GB", "3 parsecs", "GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="is no size") as caught:
        size(text, "--to")
    assert "20 GB" in caught.value.fix
