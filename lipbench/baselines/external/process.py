"""Running a foreign command: no stdin, logs of bounded size, a time limit that is kept, nothing left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPERVISOR = Path(__file__).with_name("supervisor.py")
GRACE_S = 10.0  # between SIGTERM and SIGKILL
_SAMPLE_S = 0.2  # between looks at the memory
#: Bytes of each stream of one command that are kept: its first and its last ones.
HEAD = TAIL = 512 * 1024


@dataclass(frozen=True)
class ProcessResult:
    """How a command ended.

    Attributes:
        rc: exit code; -N when signal N ended it; None when the program could not be started.
        timed_out: it was ended because its time was up.
        wall_s: seconds it ran, the time to end it included.
        peak_rss: most memory held by its processes together, bytes (0 where it could not be sampled).
        reason: why it could not be started, else "".
        strays: processes that were still there when it had ended by itself; they were ended.
    """

    rc: int | None
    timed_out: bool
    wall_s: float
    peak_rss: int
    reason: str = ""
    strays: int = 0


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
    """Run to the end or to the limit; nothing that it started outlives the call, or this process.

    Args:
        argv: words, never a shell string.
        cwd: where it runs.
        env: all of its environment.
        timeout_s: then SIGTERM to everything it started, and SIGKILL `GRACE_S` later.
        stdout: file that takes the output (appended): the first `HEAD` and the last `TAIL` bytes.
        stderr: the same for the errors.
        kill: a command that ends what signals do not reach (a container), run after a time-out.
    """
    start = time.monotonic()
    job = {
        "argv": list(argv),
        "cwd": str(cwd),
        "env": dict(env),
        "stdout": str(stdout),
        "stderr": str(stderr),
        "limit_s": timeout_s,
        "grace_s": GRACE_S,
        "sample_s": _SAMPLE_S,
        "head": HEAD,
        "tail": TAIL,
        "kill": list(kill),
    }
    for file in (stdout, stderr):
        file.touch()
    # In a session of its own: it is there for the command's end even when our process group is killed.
    supervisor = subprocess.Popen(
        [sys.executable, "-I", "-S", str(SUPERVISOR)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert supervisor.stdin is not None
    assert supervisor.stdout is not None
    said: list[dict[str, Any]] = []
    try:
        supervisor.stdin.write(json.dumps(job).encode() + b"\n")
        supervisor.stdin.flush()
        for line in supervisor.stdout:
            said.append(json.loads(line))
            if "rc" in said[-1]:
                break
    finally:  # also when we are interrupted: the closed pipe ends the command
        with contextlib.suppress(OSError):
            supervisor.stdin.close()
        try:
            supervisor.wait(GRACE_S + 90)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
        supervisor.stdout.close()
        if said and "rc" not in said[-1]:  # it was killed itself; the command's group at least is known
            with contextlib.suppress(OSError):
                os.killpg(said[0]["pid"], signal.SIGKILL)
    if not said or "rc" not in said[-1]:
        return ProcessResult(-signal.SIGKILL, False, time.monotonic() - start, 0)
    return ProcessResult(**said[-1])


def tail(file: Path, size: int = 65536) -> str:
    """The end of a log file."""
    with contextlib.suppress(OSError), open(file, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - size))
        return stream.read().decode("utf-8", "replace")
    return ""
