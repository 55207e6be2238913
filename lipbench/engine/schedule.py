"""Which stages can go on: each knows how many others it waits for, so the end of one touches only its followers.

A stage is *open* until it ends. It becomes *due* when everything it depends on has ended: then it is looked up. What
the store does not have is *ready* to run, in two queues, for a GPU and for none. Every stage and every dependency is
looked at once, so a run's own work grows with the plan and not with its square.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter

from lipbench.engine.plan import Node

#: Stages that no other clip's wait for: they run in the plan's order, so that a video is scored before the next one is
#: made, and cells are finished one after the other. What others wait for comes before all of its clip, and from the
#: middle of the clip before it on: a fit that starts last keeps one core busy while the others idle, and fits of all
#: clips before the first video would keep the first numbers back.
IN_PLACE = ("synthesize", "score")


class Schedule:
    """The open stages of a plan.

    Attributes:
        visits: stages and dependencies looked at so far; what tests count.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._order = {name: i for i, name in enumerate(nodes)}
        self._clips = [i for i, node in enumerate(nodes.values()) if node.kind == "clip"] or [0]
        self._ahead = len(nodes) // (2 * len(self._clips))
        self._open: set[str] = set(nodes)
        self._left: dict[str, int] = {}
        self._followers: dict[str, list[str]] = {}
        self._due: deque[str] = deque()
        self._queues: dict[bool, list[tuple[int, bool, int, str]]] = {True: [], False: []}
        self._gpu_left = sum(node.gpu > 0 for node in nodes.values())
        self.visits = 0
        for node in nodes.values():
            # A stage that cannot run is told so at once, and with it what needs it.
            others = () if node.refusal is not None else {*node.needs, *node.optional_deps}
            self._left[node.id] = len(others)
            self.visits += 1 + len(others)
            for other in others:
                self._followers.setdefault(other, []).append(node.id)
            if not others:
                self._due.append(node.id)

    def __len__(self) -> int:
        """How many stages are open."""
        return len(self._open)

    def __contains__(self, name: str) -> bool:
        return name in self._open

    @property
    def open(self) -> Iterable[str]:
        """The open stages, in the plan's order."""
        return sorted(self._open, key=self._order.__getitem__)

    @property
    def gpu_left(self) -> bool:
        """Whether an open stage uses a GPU."""
        return self._gpu_left > 0

    @property
    def has_due(self) -> bool:
        return bool(self._due)

    def due(self) -> str | None:
        """Take a stage whose dependencies have all ended."""
        while self._due:
            self.visits += 1
            name = self._due.popleft()
            if name in self._open and not self._left[name]:  # else it was reopened meanwhile
                return name
        return None

    def ready(self, name: str) -> None:
        """A stage has to run."""
        node = self._nodes[name]
        order, in_place = self._order[name], node.kind in IN_PLACE
        place = order if in_place else self._clips[max(bisect_right(self._clips, order) - 1, 0)] - self._ahead
        heapq.heappush(self._queues[node.gpu > 0], (place, in_place, order, name))

    @property
    def has_ready(self) -> bool:
        """Whether a stage may be taken."""
        return any(self._queues.values())

    def take(self, gpu: bool | None) -> str | None:
        """Take the first of the ready stages of one queue; of both when None."""
        queues = [queue for uses, queue in self._queues.items() if gpu in (None, uses)]
        while waiting := [queue for queue in queues if queue]:
            self.visits += 1
            name = heapq.heappop(min(waiting, key=itemgetter(0)))[3]
            if name in self._open and not self._left[name]:  # else it was reopened meanwhile
                return name
        return None

    def end(self, name: str, good: bool) -> list[str]:
        """A stage has ended.

        Returns:
            Open stages that needed it and cannot run any more, because it was not `good`; the caller ends them too.
        """
        self._open.remove(name)
        self._gpu_left -= self._nodes[name].gpu > 0
        blocked = []
        for other in self._followers.pop(name, ()):
            self.visits += 1
            if other not in self._open:
                continue
            if not good and name in self._nodes[other].needs:
                blocked.append(other)
                continue
            self._left[other] -= 1
            if not self._left[other]:
                self._due.append(other)
        return blocked

    def reopen(self, names: Collection[str]) -> None:
        """Stages are open (again), and wait for those that they depend on and that are open: a result is gone.

        Args:
            names: with a stage that is made again also all that depend on it, whatever came of them.
        """
        for name in names:
            if name not in self._open:
                self._open.add(name)
                self._gpu_left += self._nodes[name].gpu > 0
        for name in names:
            node = self._nodes[name]
            others = {*node.needs, *node.optional_deps} & self._open if node.refusal is None else set()
            self._left[name] = len(others)
            for other in others:
                followers = self._followers.setdefault(other, [])
                if name not in followers:
                    followers.append(name)
            if not others:
                self._due.append(name)

    def waits(self, name: str) -> bool:
        """Whether a stage that it depends on is open."""
        return self._left[name] > 0
