"""What operating systems do differently. Linux and macOS are supported; Windows is refused, its WSL2 is a Linux."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
import sys
import threading
import time
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


def die_with_parent() -> None:
    """From now on this process is killed when its parent ends, however that ends.

    Linux's kernel does it. Elsewhere a thread looks once a second who the parent is: it changes when the parent dies.
    """
    if sys.platform == "linux":
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            return
        except (OSError, AttributeError):
            pass
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def _watch(parent: int, pause_s: float = 1.0) -> None:
    while os.getppid() == parent:
        time.sleep(pause_s)
    os.kill(os.getpid(), signal.SIGKILL)


def cache_folder() -> Path:
    """The user's cache folder: $XDG_CACHE_HOME, else ~/.cache; an empty variable counts as none."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
