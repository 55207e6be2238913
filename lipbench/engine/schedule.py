"""Which stages can go on: each knows how many others it waits for, so the end of one touches only its followers.

A stage is *open* until it ends. It becomes *due* when everything it depends on has ended: then it is looked up. What
the store does not have is *ready* to run, in two queues, for a GPU and for none. Every stage and every dependency is
looked at once, so a run's own work grows with the plan and not with its square.

A worker keeps what it has made of a dub's source and truth: their frames, their features. So each stays at its dub, and
those that are free take dubs that no other is at; but the first dub of a run is everybody's, so that its numbers come
early, and so is what is left at the end.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence

from lipbench.engine.plan import Node

#: Stages that no other clip's wait for: they run in the plan's order, so that a video is scored before the next one is
#: made, and cells are finished one after the other. What others wait for comes before all of its clip, and from the
#: middle of the clip before it on: a fit that starts last keeps one core busy while the others idle, and fits of all
#: clips before the first video would keep the first numbers back.
IN_PLACE = ("synthesize", "score")

#: Place in the order, whether it is in the plan's, number in the plan, name: of a stage that is ready.
Entry = tuple[int, bool, int, str]


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
        # Of all that is ready, and of what is ready of each dub; "" has what does not run in place.
        self._queues: dict[bool, dict[str | None, list[Entry]]] = {True: {None: []}, False: {None: []}}
        self._ready: set[str] = set()
        self._queued: set[str] = set()  # what was taken stays in a queue until it comes first there
        self._dubs: dict[str, str] = {}
        self._gpu_left = sum(node.gpu > 0 for node in nodes.values())
        self.visits = 0
        for node in nodes.values():
            # A stage that cannot run is told so at once, and with it what needs it.
            others = () if node.refusal is not None else {*node.needs, *node.optional_deps}
            self._dubs[node.id] = self._dub_of(node)
            self._left[node.id] = len(others)
            self.visits += 1 + len(others)
            for other in others:
                self._followers.setdefault(other, []).append(node.id)
            if not others:
                self._due.append(node.id)
        self._everybodys = next(filter(None, self._dubs.values()), "")

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

    def _dub_of(self, node: Node) -> str:
        """The dub that a stage belongs to, by the name of its stage; "" for one that belongs to none or to several."""
        if node.kind == "dub":
            return node.id
        dubs = {dub for name in node.needs if (dub := self._dubs.get(name, ""))}
        return dubs.pop() if len(dubs) == 1 else ""

    def dub(self, name: str) -> str:
        """The dub at which a stage's worker stays; "" for none, as for a stage that comes before its turn."""
        return self._dubs[name] if self._nodes[name].kind in IN_PLACE else ""

    def ready(self, name: str) -> None:
        """A stage has to run."""
        self._ready.add(name)
        if name in self._queued:
            return
        self._queued.add(name)
        node = self._nodes[name]
        order, in_place = self._order[name], node.kind in IN_PLACE
        place = order if in_place else self._clips[max(bisect_right(self._clips, order) - 1, 0)] - self._ahead
        entry = (place, in_place, order, name)
        queues = self._queues[node.gpu > 0]
        heapq.heappush(queues[None], entry)
        heapq.heappush(queues.setdefault(self._dubs[name] if in_place else "", []), entry)

    @property
    def has_ready(self) -> bool:
        """Whether a stage may be taken."""
        return bool(self._ready)

    def take(self, gpu: bool | None, near: Sequence[str] = (), away: Collection[str] = ()) -> str | None:
        """Take the first of the ready stages of one queue; of both when None.

        Args:
            near: dubs whose stages come first among those that run in place.
            away: dubs whose stages come last among them, but for the first dub of the plan.
        """
        found = self._first(gpu, None)
        if found is None:
            return None
        if found[1] and self._dubs[found[3]] not in ("", self._everybodys):
            mine = [entry for dub in near if dub and (entry := self._first(gpu, dub)) is not None]
            found = min(mine) if mine else self._beside(gpu, {*away} - {self._everybodys}) or found
            others = self._first(gpu, "")  # what others wait for keeps its place
            found = found if others is None else min(found, others)
        self.visits += 1
        self._ready.remove(found[3])
        return found[3]

    def _first(self, gpu: bool | None, dub: str | None) -> Entry | None:
        """The first that is ready of a dub, of all when None; it stays there."""
        queues = [queues[dub] for uses, queues in self._queues.items() if gpu in (None, uses) and dub in queues]
        for queue in queues:
            while queue and not self._may_run(queue[0][3]):
                self.visits += 1
                self._queued.discard(heapq.heappop(queue)[3])
        return min((queue[0] for queue in queues if queue), default=None)

    def _may_run(self, name: str) -> bool:
        if name in self._ready and (name not in self._open or self._left[name]):  # it was reopened meanwhile
            self._ready.remove(name)
        return name in self._ready

    def _beside(self, gpu: bool | None, away: Collection[str]) -> Entry | None:
        """The first that is ready of other dubs than these."""
        passed: list[tuple[list[Entry], Entry]] = []
        try:
            while (found := self._first(gpu, None)) is not None and self._dubs[found[3]] in away:
                queue = self._queues[self._nodes[found[3]].gpu > 0][None]
                passed.append((queue, heapq.heappop(queue)))
            return found
        finally:
            for queue, entry in passed:
                heapq.heappush(queue, entry)

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
