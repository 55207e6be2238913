"""What every executor takes and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StageRequest:
    """One stage to run: kind, key, task (JSON), workspace (its `out/` is empty), timeout and whether it likes a GPU."""

    kind: str
    key: str
    task: Mapping[str, Any]
    workspace: str
    timeout_s: float
    gpu: bool = False

    @property
    def log(self) -> str:
        """The file that takes what the stage prints."""
        return f"{self.workspace}/log.txt"


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


def failure(status: str, what: str, why: str = "", fix: str = "", reason: str = "") -> dict[str, Any]:
    """The answer of a worker that could not answer itself; the reason is the status where none is given."""
    return {
        "status": status,
        "outputs": {},
        "info": {},
        "scores": {},
        "timing": {},
        "provenance": {},
        "error": {"reason": reason or status, "what": what, "why": why, "fix": fix, "traceback": ""},
    }
