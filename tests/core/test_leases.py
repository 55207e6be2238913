"""Leases: one owner at a time; the living keep theirs whatever the clocks say, the dead lose theirs at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lipbench.core import leases as leases_module
from lipbench.core import system
from lipbench.core.leases import Lease, Leases
from lipbench.core.store import Store

KEY = "ab" + "0" * 62


@pytest.fixture
def leases(tmp_path: Path) -> Leases:
    return Store(tmp_path).leases


def write(leases: Leases, **about: object) -> Path:
    """A lease of somebody; returns its folder."""
    path = leases.folder / KEY
    path.mkdir()
    (path / "owner.json").write_text(json.dumps(about))
    return path


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def taken(leases: Leases) -> bool:
    lease = leases.claim(KEY)
    if lease is not None:
        lease.release()
    return lease is not None


def test_one_lease_at_a_time(leases: Leases) -> None:
    lease = leases.claim(KEY)
    assert lease is not None
    assert leases.claim(KEY) is None
    lease.release()
    assert [*leases.folder.iterdir()] == []
    assert taken(leases)


def test_lease_of_a_dead_process_is_taken_over(leases: Leases) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    write(leases, host="h", space=system.process_space(), pid=child.pid, started=None)
    assert taken(leases)


def test_a_process_that_has_ended_and_waits_for_its_parent_is_dead(leases: Leases) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()  # its end, which nobody has asked for yet
    write(leases, host="h", space=system.process_space(), pid=child.pid)
    deadline = time.monotonic() + 60
    while not taken(leases):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    child.wait()


def test_another_process_of_the_same_id_does_not_keep_a_lease(leases: Leases) -> None:
    own = system.process_start(os.getpid())
    assert own is not None
    write(leases, host="h", space=system.process_space(), pid=os.getpid(), started=own)
    assert not taken(leases)
    (leases.folder / KEY / "owner.json").write_text(
        json.dumps({"space": system.process_space(), "pid": os.getpid(), "started": own + "1"})
    )
    assert taken(leases)


@pytest.mark.parametrize("hours", [-2, 2])
def test_a_living_process_keeps_its_lease_whatever_the_clocks_say(
    leases: Leases, hours: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
    lease = leases.claim(KEY)
    assert lease is not None
    age(lease.directory, 7200)  # and without a heartbeat
    assert not taken(leases)
    lease.release()


def test_a_lease_of_another_host_is_taken_over_without_heartbeat(leases: Leases) -> None:
    path = write(leases, host="another", space="another", pid=1)
    age(path, leases_module.STALE_S - 20)
    assert not taken(leases)
    age(path, leases_module.STALE_S + 20)
    assert taken(leases)


def test_heartbeats_of_other_hosts_go_by_the_clock_of_the_file_system(
    leases: Leases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own clock is two hours ahead; the file server's says that the heartbeat was just now."""
    write(leases, host="another", space="another", pid=1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 7200)
    assert not taken(leases)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x"}', "\\0"])
def test_a_lease_that_cannot_be_read_is_free_when_nobody_beats(leases: Leases, text: str) -> None:
    path = write(leases)
    (path / "owner.json").write_text(text)
    assert not taken(leases)
    age(path, leases_module.STALE_S + 20)
    assert taken(leases)


def test_who_lost_a_lease_does_not_end_its_successors(leases: Leases) -> None:
    first = leases.claim(KEY)
    assert first is not None
    leases_module._remove(first.directory)
    second = leases.claim(KEY)
    assert second is not None
    first.release()
    assert second.mine()
    assert not first.mine()
    second.release()


def test_the_heart_beats(leases: Leases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases_module, "HEARTBEAT_S", 0.01)
    lease = leases.claim(KEY)
    assert isinstance(lease, Lease)
    age(lease.directory, 1000)
    deadline = time.monotonic() + 60
    while lease.directory.stat().st_mtime < time.time() - 500:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    lease.release()


def test_what_killed_claims_left_is_swept(leases: Leases) -> None:
    old, young = leases.folder / ".claim-old", leases.folder / ".claim-young"
    for path in (old, young):
        path.mkdir()
    age(old, 1000)
    leases.sweep()
    assert [p.name for p in leases.folder.iterdir()] == [".claim-young"]


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


def test_two_processes_never_win_the_same_key(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLAIM_MANY, str(tmp_path)]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    won = [key for worker in workers for key in (worker.stdout.readline().split() if worker.stdout else [])]
    for worker in workers:
        worker.communicate("end\n")
    assert sorted(won) == [f"{i:064x}" for i in range(60)]


STEAL = """
import sys, time
real = time.time
time.time = lambda: real() + 120  # this process lives two minutes ahead
from pathlib import Path
from lipbench.core.store import Store
store = Store(Path(sys.argv[1]))
store.sweep()
print(store.claim(sys.argv[2]))
"""


def test_a_run_with_another_clock_neither_steals_nor_sweeps(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lease, workspace = store.claim(KEY), store.workspace(KEY)
    assert lease is not None
    age(lease.directory, 50)
    command = [sys.executable, "-c", STEAL, str(tmp_path), KEY]
    other = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert other.stdout == "None\n"
    assert workspace.exists()
    assert lease.mine()
    lease.release()
