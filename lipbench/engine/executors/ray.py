"""Stages as tasks of an existing Ray cluster; the run directory must be on a file system that all nodes share.

`ray.init(address="auto")` joins the cluster the user started. A lost node's task is retried by Ray itself; since a
stage is published by one rename of its workspace, a half-done attempt leaves nothing behind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipbench.core.devices import asked_device
from lipbench.core.errors import UsageError
from lipbench.engine.executors.base import StageRequest, StageResult, failure


def _remote(message: Mapping[str, Any]) -> dict[str, Any]:
    """Runs on a node: one stage in that node's worker process."""
    import shutil

    from lipbench.engine.worker import perform

    out = Path(message["workspace"]) / "out"
    shutil.rmtree(out, ignore_errors=True)  # a retry after a lost node starts clean
    out.mkdir(parents=True)
    device = "cuda:0" if message["gpu"] and os.environ.get("CUDA_VISIBLE_DEVICES") else "cpu"
    return perform({**message, "device": device, "threads": 1})


class RayExecutor:
    """Up to `workers` tasks in flight (default: the cluster's cores)."""

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
        self._flying: dict[Any, tuple[StageRequest, float]] = {}  # reference -> request, deadline

    @property
    def free(self) -> int:
        return self._limit - len(self._flying)

    def has_room(self, gpu: float, spare: bool) -> bool:
        """Whether the cluster has a place: no more stages that use GPUs than fit on them, so that others go beside."""
        if self.free <= 0:
            return False
        if not gpu or not self._gpus:
            return True
        taken = sum(request.gpu for request, _ in self._flying.values())
        return taken + gpu <= self._gpus + 1e-9 or not taken

    def submit(self, request: StageRequest) -> None:
        gpu = request.gpu if self._gpus else 0.0
        options: dict[str, Any] = {"num_cpus": 1, "max_retries": 2}
        if gpu:
            options["num_gpus"] = gpu
        task = self.ray.remote(_remote).options(**options)
        message = {
            "kind": request.kind,
            "key": request.key,
            "task": dict(request.task),
            "inputs": [dict(about) for about in request.inputs],
            "workspace": request.workspace,
            "gpu": gpu > 0,
        }
        self._flying[task.remote(message)] = request, time.monotonic() + request.timeout_s

    def poll(self, timeout_s: float) -> list[StageResult]:
        if not self._flying:
            return []
        ready, _ = self.ray.wait(list(self._flying), num_returns=1, timeout=timeout_s)
        done = []
        now = time.monotonic()
        for reference in [r for r, (_, deadline) in self._flying.items() if r not in ready and now > deadline]:
            request, _ = self._flying.pop(reference)
            self.ray.cancel(reference, force=True)
            what = f"stopped after {request.timeout_s:g} s"
            done.append(
                StageResult(request, failure("timeout", what, "it ran past its time limit (queueing included)"))
            )
        for reference in ready:
            request, _ = self._flying.pop(reference)
            try:
                answer = self.ray.get(reference)
            except self.ray.exceptions.OutOfMemoryError as error:
                answer = failure("oom", "killed by Ray: out of memory", str(error).splitlines()[0])
            except self.ray.exceptions.RayError as error:
                answer = failure("crashed", f"the Ray task died ({type(error).__name__})", str(error).splitlines()[0])
            done.append(StageResult(request, answer))
        return done

    def close(self) -> None:
        for reference in self._flying:
            self.ray.cancel(reference, force=True)
        self._flying.clear()
