"""How a stage and a run end: when their process ends, whatever it left behind, and in order when somebody says so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lipbench.core import keys, system
from lipbench.engine.executors import StageRequest, local

FORKS = """
import os, sys, time
if os.fork() == 0:
    os.setsid()  # out of the group that is killed with the worker
    print(os.getpid(), flush=True)
    time.sleep(60)
os.write({fd}, {words})
os._exit(3)
"""


@pytest.mark.parametrize(
    ("words", "status"), [(b"", "crashed"), (b'{"status"', "crashed"), (b'{"status": "ok"}\n', "ok")]
)
def test_a_stage_ends_with_its_process_though_a_child_holds_the_pipe(words: bytes, status: str) -> None:
    executor = local.LocalExecutor(1)
    (worker,) = executor.workers
    read, write = os.pipe()
    os.set_blocking(read, False)
    code = FORKS.format(fd=write, words=words)
    worker.process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, pass_fds=(write,), start_new_session=True
    )
    os.close(write)
    worker.results = read
    worker.request, worker.deadline = StageRequest("fit", "k", {}, "w", 1e6), time.monotonic() + 1e6
    assert worker.process.stdout is not None
    child = int(worker.process.stdout.readline())
    try:
        done, until = [], time.monotonic() + 120
        while not done and time.monotonic() < until:
            done = executor.poll(1.0)
        assert [one.answer["status"] for one in done] == [status]
        if status == "crashed":
            assert "exit code 3" in done[0].answer["error"]["what"]
        assert system.lives(child)
    finally:
        os.kill(child, signal.SIGKILL)
        executor.close()


ORPHAN = """
import os, signal, sys
from lipbench.engine.executors import StageRequest
from lipbench.engine.executors.local import LocalExecutor
executor = LocalExecutor(1)
task = dict(video=sys.argv[1], sha256=None, fps=25.0, start_s=0.0, end_s=None)
executor.submit(StageRequest("clip", "k", task, sys.argv[2], 60.0))
print(executor.workers[0].process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_whose_parent_died_before_it_was_ready_starts_nothing(media_files: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    command = [sys.executable, "-c", ORPHAN, str(media_files / "one.mp4"), str(tmp_path)]
    parent = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=120)
    assert parent.returncode == -signal.SIGKILL
    until = time.monotonic() + 120
    while system.lives(int(parent.stdout)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not system.lives(int(parent.stdout))
    assert [p.name for p in tmp_path.iterdir()] == ["out"]  # no log: the stage that was queued never began


MANIFEST = """schema: 1
name: tiny
version: "1"
licence: {{id: CC0-1.0}}
clips:
- {{id: one, video: one.mp4, sha256: {clip}, speaker: a, language: en, consent: none needed}}
dubs:
- {{id: one/fr, clip: one, language: fr, kind: synthetic, audio: fr.wav, sha256: {dub}}}
"""


@pytest.fixture
def hanging(media_files: Path, tmp_path: Path) -> subprocess.Popen[str]:
    """`lipbench run` whose last stage never ends, as a process; it has come so far."""
    hashes = {"clip": keys.sha256_file(media_files / "one.mp4"), "dub": keys.sha256_file(media_files / "fr.wav")}
    (media_files / "ends.yaml").write_text(MANIFEST.format(**hashes))
    (tmp_path / "run.yaml").write_text(
        f"manifest: {media_files / 'ends.yaml'}\nmethods: [fake-copy, fake-hangs]\nmetrics: [fake]\n"
    )
    command = [sys.executable, "-m", "lipbench", "run", str(tmp_path / "run.yaml"), "--workers", "1", "--out"]
    run = subprocess.Popen([*command, str(tmp_path / "run")], stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 120
    while time.monotonic() < until and run.poll() is None:
        if any("fake-hangs" in job.read_text() for job in (tmp_path / "run" / "work").glob("*/job.json")):
            return run
        time.sleep(0.05)
    run.kill()
    pytest.fail(f"it did not come so far: {run.communicate()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.slow)])
def test_a_signal_ends_a_run_like_ctrl_c(hanging: subprocess.Popen[str], tmp_path: Path, number: int) -> None:
    hanging.send_signal(number)
    _, told = hanging.communicate(timeout=120)
    assert hanging.returncode == 128 + number
    assert "stopped; what is finished is kept, the same command goes on from there" in told
    for name in ("leases", "work"):
        assert [*(tmp_path / "run" / name).iterdir()] == []
    lines = [json.loads(line) for line in (tmp_path / "run" / "cells.jsonl").read_text().splitlines()]
    assert {line["method"]: line["status"] for line in lines} == {"fake-copy": "ok", "fake-hangs": "pending"}
