"""Stages as tasks of an existing Ray cluster; the run directory must be on a file system that all nodes share.

`ray.init(address="auto")` joins the cluster the user started. A lost node's task is retried by Ray itself; since a
stage is published by one rename of its workspace, a half-done attempt leaves nothing behind.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lipbench.core.devices import asked_device
from lipbench.core.errors import UsageError
from lipbench.core.threads import THREAD_VARIABLES
from lipbench.engine.executors.base import StageRequest, StageResult, failure

#: Variables of the driver that decide where a task finds its weights and what it computes on.
TAKEN_ALONG = ("LIPBENCH_WEIGHTS", "LIPBENCH_REPOS", "LIPBENCH_DEVICE", "TORCH_HOME", "XDG_CACHE_HOME")
#: Reasons that are about the node, not about the stage: another attempt elsewhere may end well.
OF_THE_NODE = frozenset({"weights_missing", "weights_mismatch"})
#: A task writes it into its workspace when it starts, with a word of its own for each attempt.
STARTED = "started"


@cache
def code_here() -> str:
    """Digest of this lipbench's Python files: keys name the driver's code, so nodes must run the same."""
    import lipbench

    digest, folder = hashlib.sha256(), Path(lipbench.__file__).parent
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def unfit(message: Mapping[str, Any], node: str) -> dict[str, Any] | None:
    """The answer of a node that must not run a stage, None where it may.

    Args:
        message: of the driver.
        node: the machine's name.
    """
    workspace = Path(message["workspace"])
    if not workspace.is_dir():
        return failure(
            "error",
            f"the run directory is not there on {node}",
            f"there is no {workspace}",
            "put it (--out) on a file system that all nodes see under the same path",
            reason="not_shared",
        )
    if message["code"] != code_here():
        return failure(
            "error",
            f"{node} runs another lipbench",
            f"its code is {code_here()}, that of the command is {message['code']}; results carry the command's key",
            "install the same lipbench on all nodes",
            reason="other_code",
        )
    return None


def remote(message: Mapping[str, Any]) -> dict[str, Any]:
    """Runs on a node: one stage in that node's worker process."""
    import platform
    import shutil

    from lipbench.engine.worker import limit_threads, perform

    node, workspace = platform.node(), Path(message["workspace"])
    if (answer := unfit(message, node)) is not None:
        return answer
    out = workspace / "out"
    shutil.rmtree(out, ignore_errors=True)  # a retry after a lost node starts clean
    out.mkdir()  # its parent is there: nothing is made on a node that does not share the folder
    (workspace / STARTED).write_text(uuid.uuid4().hex)
    limit_threads(1)
    device = "cuda:0" if message["gpu"] and os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"
    with _logged(workspace / "log.txt"):
        answer = perform({**message, "device": device, "threads": 1})
    if answer["status"] == "refused" and answer["error"]["reason"] in OF_THE_NODE:
        answer["status"] = "error"  # not final: the driver has these weights
        answer["error"]["why"] = f"{answer['error']['why']} (on {node})"
    return answer


@contextmanager
def _logged(file: Path) -> Iterator[None]:
    """What is printed meanwhile, by native code too, goes to the stage's log and not to Ray's."""
    kept = os.dup(1), os.dup(2)
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        import sys

        sys.stdout.flush()
        sys.stderr.flush()
        for number, old in enumerate(kept, 1):
            os.dup2(old, number)
            os.close(old)
        os.close(log)


@dataclass
class Flight:
    """A task on its way. Its time runs from its start, not from when it began to wait for a node."""

    request: StageRequest
    gpu: float
    attempt: str = ""
    deadline: float = float("inf")

    def is_late(self) -> bool:
        """Look whether an attempt has started, and whether its time is up."""
        try:
            attempt = (Path(self.request.workspace) / STARTED).read_text()
        except OSError:
            attempt = ""
        if attempt != self.attempt:
            self.attempt, self.deadline = attempt, time.monotonic() + self.request.timeout_s
        return time.monotonic() > self.deadline


class RayExecutor:
    """Up to `workers` tasks in flight (default: the cluster's cores).

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """

    def __init__(self, workers: int | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise UsageError(
                "--executor ray needs the ray package", str(error), "pip install 'lipbench[ray]'"
            ) from error
        self.ray = ray
        if not ray.is_initialized():
            address = os.environ.get("RAY_ADDRESS", "auto")
            try:
                ray.init(address=address, log_to_driver=False)
            except ConnectionError as error:
                raise UsageError(
                    "no Ray cluster found", str(error), "start one with `ray start --head`, or set RAY_ADDRESS"
                ) from error
        resources = ray.cluster_resources()
        self._gpus = resources.get("GPU", 0.0) if asked_device() not in ("cpu", "mps") else 0.0
        self._limit = workers or int(resources.get("CPU", 1))
        self._variables = {name: os.environ[name] for name in TAKEN_ALONG if name in os.environ}
        self._variables |= dict.fromkeys(THREAD_VARIABLES, "1")
        self._flying: dict[Any, Flight] = {}

    @property
    def has_gpu(self) -> bool:
        return self._gpus > 0

    @property
    def free(self) -> int:
        return self._limit - len(self._flying)

    def has_room(self, gpu: float, spare: bool) -> bool:
        """Whether the cluster has a place: no more stages that use GPUs than fit on them, so that others go beside."""
        if self.free <= 0:
            return False
        if not gpu or not self._gpus:
            return True
        taken = sum(flight.gpu for flight in self._flying.values())
        return taken + gpu <= self._gpus + 1e-9 or not taken

    def dubs(self) -> tuple[Sequence[str], Sequence[str]]:
        return (), ()  # which of its processes runs a stage is Ray's choice

    def submit(self, request: StageRequest) -> None:
        gpu = request.gpu if self._gpus else 0.0
        options: dict[str, Any] = {"num_cpus": 1, "max_retries": 2, "runtime_env": {"env_vars": self._variables}}
        if gpu:
            options["num_gpus"] = gpu
        task = self.ray.remote(remote).options(**options)
        message = {
            "kind": request.kind,
            "key": request.key,
            "task": dict(request.task),
            "inputs": [dict(about) for about in request.inputs],
            "workspace": request.workspace,
            "gpu": gpu > 0,
            "code": code_here(),
        }
        self._flying[task.remote(message)] = Flight(request, gpu)

    def poll(self, timeout_s: float) -> list[StageResult]:
        if not self._flying:
            return []
        ready, _ = self.ray.wait(list(self._flying), num_returns=1, timeout=timeout_s)
        done = []
        for reference in [r for r, flight in self._flying.items() if r not in ready and flight.is_late()]:
            request = self._flying.pop(reference).request
            self.ray.cancel(reference, force=True)
            what = f"stopped after {request.timeout_s:g} s"
            answer = failure("timeout", what, "it ran past its time limit", f"raise --timeout, or read {request.log}")
            done.append(StageResult(request, answer))
        for reference in ready:
            request = self._flying.pop(reference).request
            try:
                answer = self.ray.get(reference)
            except self.ray.exceptions.OutOfMemoryError as error:
                answer = failure("oom", "killed by Ray: out of memory", str(error).splitlines()[0])
            except self.ray.exceptions.RayError as error:
                why = str(error).splitlines()[0]
                answer = failure("crashed", f"the Ray task died ({type(error).__name__})", why, f"read {request.log}")
            done.append(StageResult(request, answer))
        return done

    def close(self) -> None:
        for reference in self._flying:
            self.ray.cancel(reference, force=True)
        self._flying.clear()
