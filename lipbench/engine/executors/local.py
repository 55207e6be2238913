"""Worker processes on this machine: warm, isolated, killed when they hang.

A crash, a hang or the OOM killer costs one worker and one stage; the next request gets a fresh worker. Each worker may
use one thread on a CPU (scores then do not depend on their number) and owns at most one GPU.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lipbench.core.devices import cards
from lipbench.core.system import end_group, usable_cores
from lipbench.core.threads import THREAD_VARIABLES
from lipbench.engine.executors.base import StageRequest, StageResult, failure

#: Seconds between two looks at whether a worker still lives.
CHECK_S = 1.0


def oom_kills() -> int:
    """How often the kernel's OOM killer struck in this cgroup (0 where that cannot be read)."""
    try:
        text = Path("/sys/fs/cgroup/memory.events").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))


@dataclass
class Worker:
    """One worker process, what it is doing, and the last dub that it was at."""

    gpu: str | None
    hide: bool = True  # the other cards; False where none was found: torch may know better
    threads: int = 1
    process: subprocess.Popen[str] | None = None
    results: int = -1
    request: StageRequest | None = None
    dub: str = ""
    deadline: float = 0.0
    buffer: bytes = b""
    ooms: int = field(default_factory=oom_kills)

    def start(self) -> None:
        read, write = os.pipe()
        env = dict(os.environ, **{name: str(self.threads) for name in THREAD_VARIABLES})
        if self.hide:
            env["CUDA_VISIBLE_DEVICES"] = self.gpu or ""
        env["PYTHONUNBUFFERED"] = "1"
        # The results pipe must be fd 3 in the worker: a two-line bootstrap moves it there.
        code = f"import os; os.dup2({write}, 3); from lipbench.engine.worker import main; main({os.getpid()})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            env=env,
            pass_fds=(write,),
            start_new_session=True,
        )
        os.close(write)
        os.set_blocking(read, False)
        self.results, self.buffer, self.ooms = read, b"", oom_kills()

    def kill(self) -> None:
        if self.process is None:
            return
        end_group(self.process.pid)
        self.process.wait()
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        os.close(self.results)
        self.process = None

    def read(self) -> dict[str, Any] | None:
        """The answer once it is complete; EOFError when the worker died.

        The end of the pipe does not tell that alone: a process that the stage forked may hold it open for hours.
        """
        dead = self.process is not None and self.process.poll() is not None  # asked before: its last words count
        with contextlib.suppress(BlockingIOError):
            while block := os.read(self.results, 1 << 16):
                self.buffer += block
            dead = True
        if dead and not self.buffer.endswith(b"\n"):
            raise EOFError
        if not self.buffer.endswith(b"\n"):
            return None
        answer, self.buffer = json.loads(self.buffer), b""
        return dict(answer)


class LocalExecutor:
    """`workers` processes (default: one per core, at most 8; with GPUs at least one per GPU).

    Raises:
        UsageError: LIPBENCH_DEVICE names a device that is none, or a card that is not there.
    """

    def __init__(self, workers: int | None = None) -> None:
        mine = cards()
        count = workers or max(min(usable_cores(), 8), len(mine))
        self.workers = [Worker(mine[i] if i < len(mine) else None, hide=bool(mine)) for i in range(count)]
        self._waiting: deque[StageRequest] = deque()
        self.has_gpu = bool(mine)

    @property
    def free(self) -> int:
        return sum(w.request is None for w in self.workers) - len(self._waiting)

    def has_room(self, gpu: float, spare: bool) -> bool:
        """Whether an idle worker may take a stage: one with a card for those that use a GPU, one without for the rest.

        Where all workers have cards, or nothing that uses one is to come (`spare`), stages on the CPU take any.
        """
        if self._waiting:
            return False
        idle = [worker.gpu is not None for worker in self.workers if worker.request is None]
        if not self.has_gpu:
            return bool(idle)
        if gpu > 0:
            return True in idle
        divided = any(worker.gpu is None for worker in self.workers)
        return bool(idle) if spare or not divided else False in idle

    def dubs(self) -> tuple[Sequence[str], Sequence[str]]:
        idle, busy = ([w.dub for w in self.workers if (w.request is None) == free] for free in (True, False))
        return idle, busy

    def submit(self, request: StageRequest) -> None:
        self._waiting.append(request)
        self._assign()

    def _assign(self) -> None:
        """Give waiting requests to idle workers; those that like a GPU wait for one if there are any."""
        for _ in range(len(self._waiting)):
            request = self._waiting.popleft()
            idle = [w for w in self.workers if w.request is None]
            if request.gpu > 0 and self.has_gpu:
                idle = [w for w in idle if w.gpu is not None]
            elif self.has_gpu:  # keep the cards free for those who need them
                idle.sort(key=lambda w: w.gpu is not None)
            idle.sort(key=lambda w: (w.process is None, w.dub != request.dub))  # warm ones first, at this dub
            if not idle:
                self._waiting.append(request)
                continue
            self._give(idle[0], request)

    def _give(self, worker: Worker, request: StageRequest) -> None:
        if worker.process is None or worker.process.poll() is not None:
            worker.kill()
            worker.start()
        assert worker.process is not None
        assert worker.process.stdin is not None
        message = {
            "kind": request.kind,
            "key": request.key,
            "task": request.task,
            "inputs": list(request.inputs),
            "workspace": request.workspace,
            "device": "cuda:0" if worker.gpu is not None and request.gpu > 0 else "cpu",
            "threads": worker.threads,
        }
        worker.request, worker.deadline = request, time.monotonic() + request.timeout_s
        worker.dub = request.dub or worker.dub
        try:
            worker.process.stdin.write(json.dumps(message) + "\n")
            worker.process.stdin.flush()
        except BrokenPipeError:
            pass  # it died at once; poll sees the end of its pipe

    def poll(self, timeout_s: float) -> list[StageResult]:
        """Outcomes so far; waits up to timeout_s for the first one."""
        busy = [w for w in self.workers if w.request is not None]
        done: list[StageResult] = []
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                selector.register(worker.results, selectors.EVENT_READ, worker)
            wait = min([timeout_s, CHECK_S, *(w.deadline - time.monotonic() for w in busy)])
            selector.select(max(wait, 0))
            for worker in busy:
                try:
                    answer = worker.read()
                except EOFError:
                    answer = self._died(worker)
                if answer is not None and worker.request is not None:
                    done.append(StageResult(worker.request, answer))
                    worker.request = None
        for worker in busy:
            if worker.request is not None and time.monotonic() >= worker.deadline:
                limit = worker.request.timeout_s
                worker.kill()
                answer = failure(
                    "timeout",
                    f"stopped after {limit:g} s",
                    "it ran past its time limit",
                    f"raise --timeout, or read {worker.request.log}",
                )
                done.append(StageResult(worker.request, answer))
                worker.request = None
        self._assign()
        return done

    def _died(self, worker: Worker) -> dict[str, Any]:
        assert worker.process is not None
        assert worker.request is not None
        code = worker.process.wait()
        ooms, before = oom_kills(), worker.ooms
        worker.kill()
        if code == -signal.SIGKILL and ooms > before:
            return failure("oom", "killed by the kernel: out of memory", "", "use fewer --workers or a larger machine")
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return failure("crashed", f"the worker process died ({name})", "", f"read {worker.request.log}")

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
