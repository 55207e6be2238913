"""What every executor takes and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StageRequest:
    """One stage to run: kind, key, task (JSON), workspace (its `out/` is empty), timeout and whether it likes a GPU.

    `inputs` are the results of other stages that it reads, see `lipbench.engine.custody`.
    """

    kind: str
    key: str
    task: Mapping[str, Any]
    workspace: str
    timeout_s: float
    gpu: bool = False
    inputs: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class StageResult:
    """A request's outcome: the worker's answer, or what became of the worker."""

    request: StageRequest
    answer: Mapping[str, Any]


class Executor(Protocol):
    """Runs requests somewhere. `free` says how many more it can start now."""

    @property
    def free(self) -> int: ...

    def submit(self, request: StageRequest) -> None: ...

    def poll(self, timeout_s: float) -> list[StageResult]: ...

    def close(self) -> None: ...


def failure(status: str, what: str, why: str = "", fix: str = "") -> dict[str, Any]:
    """The answer of a worker that could not answer itself."""
    return {
        "status": status,
        "outputs": {},
        "rest": {},
        "info": {},
        "scores": {},
        "timing": {},
        "provenance": {},
        "error": {"reason": status, "what": what, "why": why, "fix": fix, "traceback": ""},
    }
