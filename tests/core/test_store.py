"""The store: atomic records, damaged ones, a full disk."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from hashlib import sha256

import pytest

from lipbench.core.errors import Damaged, DiskFull, Remark, StoreError, UnknownName
from lipbench.core.store import Record, Store
from lipbench.core.verify import verify

KEY = "ab" + "0" * 62


def record(key=KEY, status="ok", **more):
    return Record(key=key, kind="clip", status=status, preimage={"kind": "clip"}, **more)


def publish(store, rec, text="x"):
    workspace = store.workspace(rec.key)
    (workspace / "out" / "a.txt").write_text(text)
    return store.put(rec, workspace)


def test_put_and_get(tmp_path):
    store = Store(tmp_path)
    assert store.get(KEY) is None
    rec = record(outputs={"a": {"path": "out/a.txt", "sha256": "s", "bytes": 1}}, info={"n": 3})
    publish(store, rec)
    assert store.get(KEY) == rec
    assert store.output(rec, "a").read_text() == "x"
    assert list((tmp_path / "work").iterdir()) == []


def test_a_finished_record_is_never_replaced(tmp_path):
    store = Store(tmp_path)
    publish(store, record(info={"n": 1}), "first")
    kept = publish(store, record(info={"n": 2}), "second")
    assert kept.info == {"n": 1}
    assert (store.directory(KEY) / "out" / "a.txt").read_text() == "first"


def test_a_failed_record_is_replaced(tmp_path):
    store = Store(tmp_path)
    publish(store, record(status="crashed"), "first")
    publish(store, record(info={"n": 2}), "second")
    assert store.get(KEY).status == "ok"
    assert (store.directory(KEY) / "out" / "a.txt").read_text() == "second"


@pytest.fixture
def damaged(tmp_path):
    """A store that repairs, with one finished stage whose record is then spoiled by the test."""
    store = Store(tmp_path)
    store.repairs = True
    publish(store, record(outputs={"a": {"path": "out/a.txt", "sha256": "s", "bytes": 1}}))
    return store


def spoil(store, text="{"):
    (store.directory(KEY) / "record.json").write_text(text)


def test_a_damaged_record_is_left_out_with_one_remark(damaged):
    spoil(damaged)
    with pytest.warns(Remark, match="the result ab0000000000 is damaged \\(no JSON") as told:
        assert damaged.get(KEY) is None
    assert damaged.get(KEY) is None
    assert len(told) == 1
    assert [*damaged.records()] == []
    assert damaged.directory(KEY).exists()
    with pytest.raises(Damaged, match="cannot use the record of ab0000000000"):
        damaged.find("ab00")


def test_a_damaged_record_is_set_aside_and_its_place_is_free(damaged, tmp_path):
    spoil(damaged)
    with pytest.warns(Remark):
        assert damaged.take(KEY) is None
    (aside,) = (tmp_path / "damaged").iterdir()
    assert aside.name.startswith(KEY)
    assert (aside / "out" / "a.txt").read_text() == "x"
    assert not damaged.directory(KEY).exists()
    publish(damaged, record(info={"n": 2}))
    assert damaged.take(KEY).info == {"n": 2}
    assert damaged.damaged == {}
    assert list((tmp_path / "leases").iterdir()) == []


def test_who_only_reads_moves_nothing(damaged, tmp_path):
    damaged.repairs = False
    (damaged.directory(KEY) / "out" / "a.txt").unlink()
    with pytest.warns(Remark, match="out/a.txt is missing"):
        assert damaged.take(KEY) is None
    assert damaged.get(KEY) is not None  # the numbers can still be read
    assert not (tmp_path / "damaged").exists()


def test_what_somebody_works_on_is_not_set_aside(damaged, tmp_path):
    spoil(damaged)
    lease = damaged.claim(KEY)
    with pytest.warns(Remark):
        assert damaged.take(KEY) is None
    assert damaged.directory(KEY).exists()
    lease.release()


def test_what_is_sound_again_stays(damaged):
    assert damaged.set_aside(KEY) is False
    assert damaged.take(KEY) is not None


def test_many_damaged_records_are_not_told_one_by_one(tmp_path):
    store = Store(tmp_path)
    for i in range(9):
        key = f"{i:064x}"
        publish(store, record(key=key))
        (store.directory(key) / "record.json").write_text("")
    with pytest.warns(Remark) as told:
        assert [*store.records()] == []
    assert len(told) == 6
    assert "--verify` counts them" in str(told[-1].message)
    assert len(store.damaged) == 9


def test_verify_reads_everything(damaged, tmp_path):
    other = "cd" + "0" * 62
    digest = sha256(b"x").hexdigest()
    publish(damaged, record(key=other, outputs={"a": {"path": "out/a.txt", "sha256": digest, "bytes": 1}}))
    with pytest.warns(Remark):
        found = verify(damaged)  # the first one's hash was never right
    assert (found.records, found.files, found.n_bytes) == (1, 1, 1)
    assert found.damaged == {KEY: "out/a.txt has another content"}
    assert not damaged.directory(KEY).exists()
    assert damaged.directory(other).exists()


def test_verify_alone_moves_nothing(damaged):
    damaged.repairs = False
    assert verify(damaged).damaged == {KEY: "out/a.txt has another content"}
    assert damaged.directory(KEY).exists()


def test_outputs_that_are_not_there_are_not_published(tmp_path):
    store = Store(tmp_path)
    rec = record(outputs={"video": {"path": "out/video.mp4", "sha256": "s", "bytes": 1}})
    with pytest.raises(Damaged, match="not where they were written") as caught:
        store.put(rec, store.workspace(KEY))
    assert "out/video.mp4 is missing" in caught.value.why
    with pytest.raises(Damaged) as caught:  # made on another machine, in another working directory
        store.put(rec, tmp_path / "work" / "elsewhere")
    assert "the stage's folder is gone" in caught.value.why
    assert store.get(KEY) is None


def test_a_damaged_result_gives_way_to_a_new_one(damaged):
    (damaged.directory(KEY) / "out" / "a.txt").unlink()
    kept = publish(damaged, record(info={"n": 2}), "second")
    assert kept.info == {"n": 2}
    assert (damaged.directory(KEY) / "out" / "a.txt").read_text() == "second"


def test_sweep_removes_what_a_killed_run_left(tmp_path):
    store = Store(tmp_path)
    orphan, alive = store.workspace("cd" + "0" * 62), store.workspace(KEY)
    lease = store.claim(KEY)
    store.sweep()
    assert alive.exists()
    assert not orphan.exists()
    lease.release()


def test_full_disk_keeps_what_is_there(tmp_path, monkeypatch):
    store = Store(tmp_path)
    publish(store, record())
    other = record(key="cd" + "0" * 62)
    workspace = store.workspace(other.key)

    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="free some space"):
        store.put(other, workspace)
    monkeypatch.undo()
    assert store.get(other.key) is None
    assert store.get(KEY) is not None
    assert not list(workspace.glob(".record*"))


def test_find_by_prefix(tmp_path):
    store = Store(tmp_path)
    publish(store, record())
    assert store.find("ab00").key == KEY
    for prefix in ("abff", "ab"):
        with pytest.raises(UnknownName):
            store.find(prefix)


def test_unusable_directory(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--out"):
        Store(tmp_path / "file" / "run")


def test_reason_is_one_line():
    rec = replace(record(status="refused"), error={"reason": "no_face", "what": "no face", "why": "w.", "fix": "f"})
    assert rec.reason == "no_face: no face; w; f"
