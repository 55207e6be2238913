"""Guards for other operating systems, each seen by faking the platform; the rest is Linux and macOS alike."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lipbench.core import errors, system
from lipbench.synthetic.corpus import parallel


def on_a_mac(monkeypatch: pytest.MonkeyPatch, nowhere: Path) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(system, "PROC", nowhere / "proc")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "action", ["import lipbench", "import runpy; runpy.run_module('lipbench', run_name='__main__')"]
)
def test_windows_is_refused_at_once_in_three_lines(action: str) -> None:
    done = python(f"import sys; sys.platform = 'win32'; {action}")
    assert done.returncode == 2
    first, second, third = done.stderr.splitlines()
    assert first == "error: lipbench does not run on Windows"
    assert second.startswith("       its workers need")
    assert "WSL2" in third
    assert done.stdout == ""


def test_windows_is_refused_before_posix_modules_are_imported() -> None:
    code = """
import subprocess, sys
subprocess.run  # what the standard library itself imports is there already
sys.modules.update(resource=None, select=None)
sys.modules.pop("fcntl", None); sys.modules["fcntl"] = None
sys.platform = "win32"
try:
    import lipbench
except Exception as error:
    print(type(error).__name__, sorted({"click", "numpy", "torch"} & set(sys.modules)))
"""
    assert python(code).stdout.strip() == "UnsupportedSystem []"


def test_the_refusal_is_an_error_of_lipbench() -> None:
    assert issubclass(errors.UnsupportedSystem, errors.LipbenchError)
    assert errors.UnsupportedSystem.exit_code == 2


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_linux_and_macos_are_not_refused(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    system.refuse_windows()


def test_cores_are_counted_with_and_without_an_affinity_mask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    assert system.usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 10)
    assert system.usable_cores() == 10
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert system.usable_cores() == 1


@pytest.mark.parametrize(
    ("platform", "told"), [("linux", 300 * 1024), ("darwin", 300 * 2**20), ("freebsd14", 300 * 1024)]
)
def test_peak_memory_is_mebibytes_everywhere(
    platform: str, told: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import resource

    on_a_mac(monkeypatch, tmp_path)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_maxrss=told))
    system.reset_peak()
    assert system.peak_rss_mb() == 300


def test_peak_memory_comes_from_the_kernel_where_it_tells(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("Name:\tpython\nVmHWM:\t  2048 kB\n")
    monkeypatch.setattr(system, "PROC", tmp_path)
    system.reset_peak()
    assert system.peak_rss_mb() == 2
    assert (tmp_path / "self" / "clear_refs").read_text() == "5"


def test_a_mac_tells_its_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_a_mac(monkeypatch, tmp_path)
    asked = []

    def run(words: list[str], **_: object) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(stdout="Apple M2\n")

    monkeypatch.setattr(subprocess, "run", run)
    assert system.processor_name() == "Apple M2"
    assert asked == [["sysctl", "-n", "machdep.cpu.brand_string"]]


def test_a_processor_without_a_name_is_called_by_its_architecture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on_a_mac(monkeypatch, tmp_path)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert system.processor_name()


@pytest.mark.parametrize("error", [ProcessLookupError, PermissionError])
def test_a_group_that_has_ended_already_is_no_error(error: type[OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    def killpg(group: int, number: int) -> None:
        assert (group, number) == (4321, signal.SIGKILL)
        raise error

    monkeypatch.setattr(os, "killpg", killpg)
    system.end_group(4321)


@pytest.mark.parametrize("platform", [sys.platform, "darwin"])
def test_a_worker_dies_with_its_parent(platform: str) -> None:
    # The parent is killed while its child sleeps; the child holds the pipe, whose end is the child's end.
    child = (
        f"import sys, time; sys.platform = {platform!r}; from lipbench.core.system import die_with_parent; "
        "die_with_parent(); print('ready', flush=True); time.sleep(60)"
    )
    code = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        parent.wait()
        timeout = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("the child outlived its parent"))
        signal.alarm(120)
        try:
            assert parent.stdout.read() == ""
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, timeout)


@pytest.mark.parametrize("platform", [sys.platform, "darwin"])
def test_who_starts_after_its_parent_died_ends_at_once(platform: str) -> None:
    done = python(
        f"import sys; sys.platform = {platform!r}; from lipbench.core.system import die_with_parent; "
        "die_with_parent(2**22 + 1); print('alive')"
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")
    assert python("import os; from lipbench.core.system import *; die_with_parent(os.getppid())").returncode == 0


def test_a_process_is_told_from_a_later_one_of_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.getpid()
    started = system.process_start(own)
    assert started is not None
    assert system.lives(own, started)
    assert system.lives(own)
    assert not system.lives(own, f"{started}1")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert system.process_start(child.pid) is None
    assert not system.lives(child.pid)


def test_without_proc_a_process_is_asked_of_ps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on_a_mac(monkeypatch, tmp_path)
    answers = {"1": "S    Mon Nov 30 03:02:29 2026\n", "2": "Z+   Mon Nov 30 03:02:29 2026\n"}
    monkeypatch.setattr(subprocess, "run", lambda words, **_: SimpleNamespace(stdout=answers[words[-1]]))
    assert system.process_start(1) == "Mon Nov 30 03:02:29 2026"
    assert system.lives(1, "Mon Nov 30 03:02:29 2026")
    assert not system.lives(1, "Mon Nov 30 03:02:30 2026")
    assert not system.lives(2)


@pytest.mark.parametrize(("error", "alive"), [(ProcessLookupError, False), (PermissionError, True)])
def test_a_process_of_which_nothing_is_told(
    error: type[OSError], alive: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """/proc may hide what others run."""

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (4321, 0)
        raise error

    monkeypatch.setattr(system, "PROC", tmp_path)
    monkeypatch.setattr(system, "_state", lambda _: None)
    monkeypatch.setattr(os, "kill", kill)
    assert system.lives(4321) is alive


def test_process_ids_mean_nothing_after_a_reboot_or_in_another_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def space(boot: str, numbering: str) -> str:
        proc = tmp_path / f"{boot}{numbering}"
        (proc / "sys" / "kernel" / "random").mkdir(parents=True)
        (proc / "sys" / "kernel" / "random" / "boot_id").write_text(f"{boot}\n")
        (proc / "self" / "ns").mkdir(parents=True)
        (proc / "self" / "ns" / "pid").symlink_to(f"pid:[{numbering}]")
        monkeypatch.setattr(system, "PROC", proc)
        system.process_space.cache_clear()
        return system.process_space()

    try:
        assert len({space("a", "1"), space("b", "1"), space("a", "2")}) == 3
        on_a_mac(monkeypatch, tmp_path)
        system.process_space.cache_clear()
        assert system.process_space() == socket.gethostname()
    finally:
        system.process_space.cache_clear()


STOPS = """
import os, signal, sys, time
from lipbench.core.system import Terminated, ends_like_ctrl_c
before = signal.getsignal(signal.SIGHUP)
try:
    with ends_like_ctrl_c():
        try:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
            time.sleep(0.1)
            print("went on")
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # impatience changes nothing
            time.sleep(0.1)
            print("cleaned up")
except KeyboardInterrupt as stop:
    print(type(stop).__name__, stop.number)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.getsignal(signal.SIGHUP) == before)
"""


@pytest.mark.parametrize(("name", "number"), [("SIGTERM", 15), ("SIGHUP", 1)])
def test_being_told_to_end(name: str, number: int) -> None:
    # The tests themselves may run under nohup.
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n" + STOPS
    done = subprocess.run([sys.executable, "-c", code, name], capture_output=True, text=True, timeout=120)
    assert done.stdout.split("\n") == ["cleaned up", f"Terminated {number}", "True True", ""], done.stderr


def test_nohup_is_respected() -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + STOPS
    done = subprocess.run([sys.executable, "-c", code, "SIGHUP"], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("went on\n")


def test_nothing_is_forked_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert parallel._context().get_start_method() == "forkserver"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert parallel._context().get_start_method() == "spawn"
