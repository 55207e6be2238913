"""Runs whose stages are performed in the test's own process."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from lipbench.engine import api, worker
from lipbench.engine.executors import StageRequest, StageResult


class Here:
    """An executor that runs stages in this process, as a worker would."""

    has_gpu = False

    def __init__(self) -> None:
        self.waiting: list[StageRequest] = []

    @property
    def free(self) -> int:
        return 1 - len(self.waiting)

    def has_room(self, gpu: float, spare: bool) -> bool:
        return not self.waiting

    def dubs(self) -> tuple[list[str], list[str]]:
        return [], []

    def submit(self, request: StageRequest) -> None:
        self.waiting.append(request)

    def poll(self, timeout_s: float) -> list[StageResult]:
        request = self.waiting.pop()
        answer = worker.perform({**asdict(request), "device": "cpu", "threads": 1})
        return [StageResult(request, json.loads(json.dumps(answer)))]

    def close(self) -> None:
        pass


def stages_here(patch: pytest.MonkeyPatch) -> None:
    """From now on runs start no workers."""
    patch.setattr(api, "create_executor", lambda *_: Here())
