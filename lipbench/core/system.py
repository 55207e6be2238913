"""What operating systems do differently. Linux and macOS are supported; Windows is refused, its WSL2 is a Linux."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from lipbench.core.errors import UnsupportedSystem

#: Linux's window into processes; macOS has none.
PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def refuse_windows() -> None:
    """Called by `import lipbench` before anything else is imported.

    Raises:
        UnsupportedSystem: this Python is a Windows program.
    """
    if sys.platform in ("win32", "cygwin"):
        raise UnsupportedSystem(
            "lipbench does not run on Windows",
            "its workers need process groups and pipes of a POSIX system",
            "use WSL2: run `wsl --install`, then install lipbench inside it; it can use the GPU",
        )


def usable_cores() -> int:
    """Processors this process may use: those of its affinity mask on Linux, all of them elsewhere; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name as its maker writes it, e.g. "AMD EPYC 7B13" or "Apple M2"; else the architecture."""
    try:
        for line in (PROC / "cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    if sys.platform == "darwin":  # platform.processor() says no more than "arm" there
        words = ["sysctl", "-n", "machdep.cpu.brand_string"]
        try:
            answer = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            answer = ""
        if answer:
            return answer
    return platform.processor() or platform.machine()


def reset_peak() -> None:
    """Let `peak_rss_mb` count from now on. Only Linux can: elsewhere the peak is that of the process's whole life."""
    try:
        (PROC / "self" / "clear_refs").write_text("5")
    except OSError:
        pass


def peak_rss_mb() -> float:
    """The most resident memory of this process, MiB; since `reset_peak` where that works."""
    try:
        for line in (PROC / "self" / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # getrusage(2): kibibytes on Linux, bytes on macOS.
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def end_group(group: int) -> None:
    """SIGKILL to a process group; nothing happens when it has ended already.

    A group of which only an unreaped leader is left is no error on Linux, and "not permitted" on macOS.
    """
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def die_with_parent(parent: int | None = None) -> None:
    """From now on this process is killed when its parent ends, however that ends.

    Linux's kernel does it. Elsewhere a thread looks once a second who the parent is: it changes when the parent dies.

    Args:
        parent: process id of the parent that is meant. When it is not ours any more, it died before this call, and
            this process ends at once.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (OSError, AttributeError):
            threading.Thread(target=_watch, args=(parent or os.getppid(),), daemon=True).start()
    else:
        threading.Thread(target=_watch, args=(parent or os.getppid(),), daemon=True).start()
    # After the call above: a parent that dies from now on is noticed there.
    if parent is not None and os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int, pause_s: float = 1.0) -> None:
    while os.getppid() == parent:
        time.sleep(pause_s)
    os.kill(os.getpid(), signal.SIGKILL)


@cache
def process_space() -> str:
    """Where process ids mean what they mean here: this boot of this machine, and in containers their own numbering."""
    parts = [socket.gethostname()]
    for read in (
        lambda: (PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip(),
        lambda: os.readlink(PROC / "self" / "ns" / "pid"),
    ):
        try:
            parts.append(read())
        except OSError:
            continue
    return " ".join(parts)


def process_start(pid: int) -> str | None:
    """When a process began, in its system's own words: a later process of the same id says something else.

    None when that cannot be told, or there is no such process.
    """
    state = _state(pid)
    return None if state is None else state[1]


def lives(pid: int, started: str | None = None) -> bool:
    """Whether a process of this machine lives; one that has ended and waits for its parent to notice does not.

    Args:
        started: what `process_start` said of it, to tell it from a later one of the same id; None: not known.
    """
    state = _state(pid)
    if state is not None:
        return state[0] not in "ZX" and started in (None, state[1])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's, hidden from us
        return True
    return True


def _state(pid: int) -> tuple[str, str] | None:
    """A process's state, one letter, and its start."""
    try:
        # proc(5): the second field is a name in brackets, which may hold anything.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return fields[0], fields[19]
    except OSError:
        pass
    if sys.platform == "linux":
        return None
    words = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
    try:
        answer = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.split(None, 1)
    except (OSError, subprocess.SubprocessError):
        return None
    return (answer[0][:1], answer[1].strip()) if len(answer) == 2 else None


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: somebody wants this program to end, like Ctrl-C. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def ends_like_ctrl_c() -> Iterator[None]:
    """Within it, the first SIGTERM or SIGHUP raises `Terminated` where the main thread is; further ones change nothing.

    Signals that somebody handles or ignores already (nohup does) stay as they are; so does everything in other threads.
    """
    mine = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        mine = []

    def end(number: int, _: object) -> None:
        for each in mine:
            signal.signal(each, _nothing)  # not SIG_IGN, which processes started meanwhile would inherit
        raise Terminated(number)

    for number in mine:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.SIG_DFL)


def _nothing(number: int, frame: object) -> None:
    """A signal handler that does nothing."""


@contextmanager
def rare_collections() -> Iterator[None]:
    """While it lasts, unreachable circles of objects are searched for a hundred times less often.

    A large plan is millions of objects that all stay, and each search looks at many of them.
    """
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def cache_folder() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, else ~/.cache; an empty variable counts as none."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
