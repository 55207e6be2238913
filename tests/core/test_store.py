"""The store: atomic records, leases, several processes, a full disk."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from lipbench.core import store as store_module
from lipbench.core.errors import DiskFull, StoreError, UnknownName
from lipbench.core.store import Record, Store

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


def test_record_of_another_schema_is_refused(tmp_path):
    store = Store(tmp_path)
    publish(store, record())
    path = store.directory(KEY) / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": 99}))
    with pytest.raises(StoreError, match="schema is 99"):
        store.get(KEY)


def test_half_a_record_is_an_error_with_a_mend(tmp_path):
    store = Store(tmp_path)
    publish(store, record())
    (store.directory(KEY) / "record.json").write_text('{"key": "ab')
    with pytest.raises(StoreError, match="delete its folder"):
        store.get(KEY)


def test_one_lease_at_a_time(tmp_path):
    store = Store(tmp_path)
    lease = store.claim(KEY)
    assert lease is not None
    assert store.claim(KEY) is None
    lease.release()
    again = store.claim(KEY)
    assert again is not None
    again.release()


def test_lease_of_a_dead_process_is_taken_over(tmp_path):
    store = Store(tmp_path)
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    path = tmp_path / "leases" / KEY
    path.mkdir()
    (path / "owner.json").write_text(json.dumps({"host": store_module.socket.gethostname(), "pid": child.pid}))
    lease = store.claim(KEY)
    assert lease is not None
    lease.release()


def test_lease_without_heartbeat_is_taken_over(tmp_path):
    store = Store(tmp_path)
    path = tmp_path / "leases" / KEY
    path.mkdir()
    (path / "owner.json").write_text(json.dumps({"host": "another-host", "pid": 1}))
    assert store.claim(KEY) is None
    old = time.time() - store_module.STALE_S - 1
    os.utime(path, (old, old))
    lease = store.claim(KEY)
    assert lease is not None
    lease.release()


CLAIM_MANY = """
import sys
from pathlib import Path
from lipbench.core.store import Store
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
leases = {f"{i:064x}": store.claim(f"{i:064x}") for i in range(60)}  # never released: each key may be won once
print(" ".join(key for key, lease in leases.items() if lease is not None), flush=True)
sys.stdin.readline()  # stay alive until the other is done too: a dead owner's lease may be taken over
"""


def test_two_processes_never_win_the_same_key(tmp_path):
    command = [sys.executable, "-c", CLAIM_MANY, str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    won = [key for worker in workers for key in worker.stdout.readline().split()]
    for worker in workers:
        worker.communicate("end\n")
    assert sorted(won) == [f"{i:064x}" for i in range(60)]


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

    monkeypatch.setattr(store_module.os, "fsync", full)
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
