"""How a run is asked for, what becomes of its stages, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lipbench.core.errors import FINAL_REASONS
from lipbench.core.leases import Held
from lipbench.core.record import Record
from lipbench.engine.executors import StageRequest
from lipbench.engine.plan import Node

#: Seconds a stage may take, by kind; --timeout replaces fit and synthesize.
TIMEOUTS = {
    "clip": 3600,
    "dub": 3600,
    "faces": 3600,
    "prepare": 3600,
    "fit": 48 * 3600,
    "synthesize": 6 * 3600,
    "score": 3600,
}
#: Outcomes that another attempt may change within the same run.
RETRIED = frozenset({"crashed", "oom"})


@dataclass(frozen=True)
class RunOptions:
    """How to run; nothing here can change a number.

    Attributes:
        retries: further attempts after a crash or an out-of-memory kill.
        timeout_s: limit for fit and synthesize stages (None: TIMEOUTS).
        max_failures: stop starting stages after this many failed ones (None: never).
        gpu_share: the part of a GPU that a stage takes which uses one, for executors that divide them (None: that of
            its kind, `GPU_SHARE`).
    """

    retries: int = 1
    timeout_s: float | None = None
    max_failures: int | None = None
    gpu_share: float | None = None


@dataclass
class NodeState:
    """The outcome of one node in this run. `how`: cached, run, refused, failed, blocked or skipped."""

    how: str
    record: Record | None = None
    reason: str | None = None

    @property
    def final(self) -> bool:
        """Blocked because an input was refused: another run would end the same way."""
        return self.how == "blocked" and (self.reason or "").split(":")[0] in FINAL_REASONS


@dataclass
class Flight:
    """A stage that runs: the nodes that wait for it, its lease, which attempt it is, and what it was started with."""

    nodes: list[Node]
    lease: Held
    attempt: int
    request: StageRequest
    preimage: Mapping[str, Any]


@dataclass
class RunOutcome:
    """What a run did.

    Attributes:
        states: node id -> outcome.
        stopped: why no more stages were started ("" when all were).
        wall_s: seconds it took.
    """

    states: dict[str, NodeState] = field(default_factory=dict)
    stopped: str = ""
    wall_s: float = 0.0

    def count(self, how: str) -> int:
        return sum(s.how == how for s in self.states.values())

    def remarks(self) -> dict[str, list[str]]:
        """What stages have to say of what they were given: text -> ids of the nodes that say it."""
        said: dict[str, list[str]] = {}
        for name, state in self.states.items():
            for text in state.record.info.get("remarks", ()) if state.record is not None else ():
                said.setdefault(text, []).append(name)
        return said
