"""Running a foreign command: own process group, no stdin, output to files, a time limit that is kept."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 10.0  # between SIGTERM and SIGKILL
_SAMPLE_S = 0.2  # between looks at the memory

# Waits for its standard input to close. A byte first means that all went well; nothing means that lipbench is dead
# (killed for memory, say), and then it ends the process group that would otherwise hold its GPU for ever.
_GUARD = """
import os, signal, subprocess, sys, time
if not sys.stdin.buffer.read(1):
    for number, pause in ((signal.SIGTERM, float(sys.argv[2])), (signal.SIGKILL, 0)):
        try:
            os.killpg(int(sys.argv[1]), number)
        except OSError:
            break
        time.sleep(pause)
    if sys.argv[3:]:
        subprocess.call(sys.argv[3:])
"""


@dataclass(frozen=True)
class ProcessResult:
    """How a command ended.

    Attributes:
        rc: exit code; -N when signal N ended it; None when the program could not be started.
        timed_out: it was ended because its time was up.
        wall_s: seconds it ran.
        peak_rss: most memory held by its processes together, bytes (0 where it could not be sampled).
        reason: why it could not be started, else "".
    """

    rc: int | None
    timed_out: bool
    wall_s: float
    peak_rss: int
    reason: str = ""


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout_s: float,
    stdout: Path,
    stderr: Path,
    kill: Sequence[str] = (),
) -> ProcessResult:
    """Run to the end or to the limit; nothing it started in its process group outlives the call, or this process.

    Args:
        argv: words, never a shell string.
        timeout_s: then SIGTERM to the whole group, and SIGKILL `GRACE_S` later.
        stdout: files that take the output (appended).
        stderr: files that take the output (appended).
        kill: a command that ends what signals do not reach (a container), run after a time-out.
    """
    start = time.monotonic()
    with open(stdout, "ab") as out, open(stderr, "ab") as err:
        try:
            child = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        except OSError as error:
            return ProcessResult(None, False, 0.0, 0, f"{argv[0]}: {error.strerror or error}")
    peak, timed_out = 0, False
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD, str(child.pid), str(GRACE_S), *kill],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline, pause = start + timeout_s, 0.01
        while child.poll() is None:
            peak = max(peak, session_rss(child.pid))
            if time.monotonic() > deadline:
                timed_out = True
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(min(pause, max(0.0, deadline - time.monotonic()) + 0.01))
            pause = min(_SAMPLE_S, pause * 2)
    finally:  # also when we are interrupted: never leave it behind
        if child.poll() is None:
            _signal_group(child.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE_S)
            if kill:
                subprocess.run(list(kill), stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        _signal_group(child.pid, signal.SIGKILL)
        rc = child.wait()
        with contextlib.suppress(OSError):
            guard.communicate(b"x")
    return ProcessResult(rc, timed_out, time.monotonic() - start, peak)


def _signal_group(group: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, what)


def session_rss(session: int) -> int:
    """Resident bytes of all processes of a session, 0 without /proc. Shared pages count once per process."""
    total, page = 0, os.sysconf("SC_PAGE_SIZE")
    with contextlib.suppress(OSError):
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):
                stat = Path(entry.path, "stat").read_text()
                # The name in parentheses may hold spaces: count fields from the last parenthesis.
                fields = stat[stat.rindex(")") + 2 :].split()
                if int(fields[3]) == session:
                    total += int(fields[21]) * page
    return total


def tail(file: Path, size: int = 65536) -> str:
    """The end of a log file."""
    with contextlib.suppress(OSError), open(file, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - size))
        return stream.read().decode("utf-8", "replace")
    return ""
