"""What every executor takes and answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class StageRequest:
    """One stage to run.

    Attributes:
        kind: of the stage.
        key: its identity.
        task: its instructions (JSON).
        workspace: a private folder; its `out/` is empty.
        timeout_s: seconds it may take.
        gpu: the part of a GPU that it takes, where there is one; 0 for a stage that uses none.
        inputs: results of other stages that it reads, see `lipbench.engine.custody`.
        dub: the one at which its worker stays, "" for none.
    """

    kind: str
    key: str
    task: Mapping[str, Any]
    workspace: str
    timeout_s: float
    gpu: float = 0.0
    inputs: Sequence[Mapping[str, Any]] = ()
    dub: str = ""

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
    """Runs requests somewhere.

    `free` says how many more it can start now, whatever they use. `has_room` says whether it can start one that takes
    `gpu` of a GPU; `spare`: nothing that is still to come uses one, so stages on the CPU may have those places too.
    `has_gpu` says whether there is a GPU at all. `dubs` names those that its idle workers were at last, and those that
    its busy ones are at; none where a worker keeps nothing.
    """

    @property
    def has_gpu(self) -> bool: ...

    @property
    def free(self) -> int: ...

    def has_room(self, gpu: float, spare: bool) -> bool: ...

    def dubs(self) -> tuple[Sequence[str], Sequence[str]]: ...

    def submit(self, request: StageRequest) -> None: ...

    def poll(self, timeout_s: float) -> list[StageResult]: ...

    def close(self) -> None: ...


def failure(status: str, what: str, why: str = "", fix: str = "", reason: str = "") -> dict[str, Any]:
    """The answer of a worker that could not answer itself; the reason is the status where none is given."""
    return {
        "status": status,
        "outputs": {},
        "rest": None,
        "info": {},
        "scores": {},
        "timing": {},
        "provenance": {},
        "error": {"reason": reason or status, "what": what, "why": why, "fix": fix, "traceback": ""},
    }
