"""External methods: nothing that a command started outlives it, its logs stay small, its environment is a list."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lipbench.baselines.external import cards, environment, load_external, process
from lipbench.baselines.external.config import Env
from lipbench.baselines.external.process import HEAD, TAIL, ProcessResult
from lipbench.core.errors import LipbenchError, Refused
from lipbench.core.method import DubJob

#: Starts a process in a session of its own that ignores SIGTERM, and one below it; writes their numbers down.
STRAY = """
import os, signal, subprocess, sys, time
code = ("import os, signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True); "
        "open(sys.argv[1], 'w').write(f'{os.getpid()} {child.pid}'); time.sleep(600)")
subprocess.Popen([sys.executable, "-c", code, sys.argv[1]], start_new_session=True)
while not (os.path.exists(sys.argv[1]) and open(sys.argv[1]).read()): time.sleep(0.01)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def command(code: str, folder: Path, *words: str, timeout_s: float = 200) -> ProcessResult:
    return process.run(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        timeout_s=timeout_s,
        stdout=folder / "stdout",
        stderr=folder / "stderr",
    )


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux adopts what leaves the session")
@pytest.mark.parametrize(("then", "timed_out", "rc"), [("", False, 0), ("time.sleep(600)", True, -15)])
def test_nothing_gets_away(
    tmp_path: Path, then: str, timed_out: bool, rc: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.3)
    for limit in (1, 4, 16, 64) if timed_out else (200,):  # the longer ones for a machine on which Python starts slowly
        ended = command(STRAY + then, tmp_path, str(tmp_path / "pids"), timeout_s=limit)
        if (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2:
            break
    assert (ended.timed_out, ended.rc) == (timed_out, rc)
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)
    assert ended.strays == (0 if timed_out else 2)
    assert ended.wall_s < 200  # they would sleep for 600 s


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux adopts what leaves the session")
def test_nothing_gets_away_when_lipbench_is_killed(tmp_path: Path) -> None:
    (tmp_path / "stray.py").write_text(STRAY + "time.sleep(600)")
    code = (
        "import os, sys; from pathlib import Path; from lipbench.baselines.external import process; work = Path.cwd()\n"
        "process.GRACE_S = 0.3\n"
        "process.run([sys.executable, 'stray.py', 'pids'], cwd=work, env=dict(os.environ), timeout_s=200,"
        " stdout=work / 'o', stderr=work / 'e')"
    )
    victim = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    pids = tmp_path / "pids"
    until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    numbers = [int(word) for word in pids.read_text().split()]
    assert all(alive(pid) for pid in numbers)
    victim.kill()
    victim.wait()
    until(lambda: not any(alive(pid) for pid in numbers))


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_command_does_not_inherit_what_is_ignored(tmp_path: Path) -> None:
    code = "import signal; print([signal.getsignal(n) for n in (2, 1, 15)] == [signal.default_int_handler, 0, 0])"
    command(code, tmp_path)
    assert (tmp_path / "stdout").read_text() == "True\n"


def test_memory_of_all_its_processes_is_seen(tmp_path: Path) -> None:
    child = "import time; held = bytearray(60 << 20); time.sleep(0.5)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], start_new_session=True)"
    assert command(code, tmp_path).peak_rss > 60 << 20


def test_long_logs_keep_their_beginning_and_their_end(tmp_path: Path) -> None:
    n = 40_000  # lines of 64 bytes on stdout
    code = f"import sys; [sys.stdout.write('%063d\\n' % i) for i in range({n})]\nsys.stderr.write('short')"
    assert command(code, tmp_path).rc == 0
    text = (tmp_path / "stdout").read_bytes()
    assert HEAD + TAIL < len(text) < HEAD + TAIL + 100
    lines = text.split(b"\n")
    assert int(lines[0]) == 0
    assert int(lines[HEAD // 64 - 1]) == HEAD // 64 - 1
    assert int(lines[-2]) == n - 1
    assert f"[... {64 * n - HEAD - TAIL} bytes left out ...]".encode() in text
    assert (tmp_path / "stderr").read_text() == "short"


def test_logs_below_the_cap_are_whole_and_follow_each_other(tmp_path: Path) -> None:
    size = HEAD + TAIL
    assert command(f"print('a' * {size - 1})", tmp_path).rc == 0
    assert (tmp_path / "stdout").read_text() == "a" * (size - 1) + "\n"
    assert command("print('of the second')", tmp_path).rc == 0
    text = (tmp_path / "stdout").read_text()
    assert len(text) == size + len("of the second\n")
    assert text.endswith("a\nof the second\n")


def test_a_chatty_hanging_command_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.2)
    code = "import signal; signal.signal(15, signal.SIG_IGN)\nwhile True: print('x' * 1000)"
    ended = command(code, tmp_path, timeout_s=0.7)
    assert (ended.timed_out, ended.rc) == (True, -9)
    assert (tmp_path / "stdout").stat().st_size < HEAD + TAIL + 100


# -- what the messages say ----------------------------------------------------------------------------------------


def test_messages_name_the_limit_and_files_that_stay(job: DubJob, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GRACE_S", 0.5)
    with pytest.raises(LipbenchError) as caught:
        load_external(fake("stubborn", timeout_s=0.8)).synthesize(job)
    assert caught.value.what == "fake did not end within its limit of 0.8 s"
    for behavior in ("crash", "garbage", "no_output"):
        with pytest.raises(LipbenchError) as caught:
            load_external(fake(behavior)).synthesize(job)
        assert str(job.out / "work") not in str(caught.value)
        if behavior != "garbage":
            assert caught.value.fix == f"read {job.out / 'stdout.txt'} and stderr.txt"
            assert (job.out / "stdout.txt").exists()
    argv = ["{python}", "-c", "import sys; sys.exit('cannot open %s/tmp/x.mp4' % sys.argv[1])", "{work}"]
    with pytest.raises(LipbenchError, match=r"cannot open \{work\}/tmp/x\.mp4"):
        load_external(fake("", argv=argv)).synthesize(job)


def test_a_missing_module_is_told_as_one(job: DubJob, fake: Any) -> None:
    with pytest.raises(LipbenchError) as caught:
        load_external(fake("", argv=["{python}", "-c", "import fake, mmcv_of_my_dreams"])).synthesize(job)
    assert caught.value.reason == "module_missing"
    assert caught.value.what == "fake found no module mmcv_of_my_dreams"
    assert not isinstance(caught.value, Refused)  # it may be installed: the next run tries again
    handled = (
        "import sys, traceback\n"
        "try: import mmcv_of_my_dreams\n"
        "except ImportError: traceback.print_exc()\n"
        "raise ValueError('something else')"
    )
    with pytest.raises(LipbenchError) as caught:
        load_external(fake("", argv=["{python}", "-c", handled])).synthesize(job)
    assert caught.value.reason == "crash"
    assert "something else" in caught.value.why


# -- the environment ----------------------------------------------------------------------------------------------


def test_the_environment_is_a_list(job: DubJob, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "SSH_AUTH_SOCK", "ANYTHING"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HF_HOME", "/caches/hf")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    code = "import fake, os, sys; print(sorted(os.environ)); fake.redraw('freeze', *sys.argv[1:])"
    argv = ["{python}", "-c", code, "{video}", "{out}"]

    def seen(**env: Any) -> set[str]:
        (job.out / "stdout.txt").unlink(missing_ok=True)
        load_external(fake("", argv=argv, env=env)).synthesize(job)
        names: set[str] = set(eval((job.out / "stdout.txt").read_text()))
        return names

    names = seen()
    assert {"PATH", "HOME", "HF_HOME", "LC_ALL", "CUDA_VISIBLE_DEVICES", "TMPDIR"} <= names
    allowed = {"CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "TMPDIR", "PYTHONDONTWRITEBYTECODE"}
    allowed |= {"PYTHONNOUSERSITE", "PYTHONUNBUFFERED", *environment.HANDED_OVER, "LC_ALL", "LC_CTYPE"}
    assert names <= allowed
    assert seen(**{"pass": ["HF_TOKEN", "NOT_SET_AT_ALL"]}) == names | {"HF_TOKEN"}


def test_docker_gets_secrets_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    env = Env.model_validate({"type": "docker", "name_or_path": "i", "pass": ["HF_TOKEN"]})
    added = environment.variables(env, {}, gpu="", threads=1, tmp=Path("/t"))
    words = environment.wrap(env, ["x"], added, cwd=Path("/"), mounts=(), label="l")
    assert "secret" not in " ".join(words.argv)
    assert words.argv[words.argv.index("HF_TOKEN") - 1] == "--env"
    assert words.env["HF_TOKEN"] == "secret"


def test_a_command_that_misses_its_token_is_told_where_it_is(
    job: DubJob, fake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    argv = ["{python}", "-c", "import os; os.environ['HF_TOKEN']"]
    with pytest.raises(LipbenchError) as caught:
        load_external(fake("", argv=argv)).synthesize(job)
    assert caught.value.fix == "HF_TOKEN is not handed over unless the method file says `env: {pass: [HF_TOKEN]}`"


@pytest.mark.parametrize(
    ("visible", "device", "card"),
    [
        ("3", "cuda:0", "3"),
        ("GPU-a, GPU-b", "cuda:1", "GPU-b"),
        ("GPU-a,GPU-b", "cuda", "GPU-a"),
        (None, "cuda:1", "1"),
        ("3", "cpu", ""),
        ("3", "cuda:1", None),
        ("", "cuda:0", None),
    ],
)
def test_the_card_is_the_workers(
    fake: Any, visible: str | None, device: str, card: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    definition = load_external(fake("copy")).located.definition
    if card is None:
        with pytest.raises(Refused) as caught:
            cards.card_of(definition, device)
        assert caught.value.reason == "gpu_missing"
    else:
        assert cards.card_of(definition, device) == card


def test_the_card_reaches_the_command(job: DubJob, make_job: Any, fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import os, sys; sys.exit(' '.join([os.environ['CUDA_VISIBLE_DEVICES'], *sys.argv[1:]]))"
    argv = ["{python}", "-c", code, "{gpu}", "{cuda_visible_devices}"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(LipbenchError) as caught:
        load_external(fake("", argv=argv)).synthesize(make_job(job.params, device="cuda:0"))
    assert caught.value.why == "3 0 3"
