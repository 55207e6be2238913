"""How long a run still takes and how fast its stages are, from the times that finished stages recorded."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from lipbench.core.record import Record
from lipbench.engine.outcome import NodeState
from lipbench.engine.plan import Node

#: Kinds of stages that go through a video frame by frame.
BY_FRAMES = ("faces", "synthesize", "score")

Group = tuple[str, str]


def group(node: Node) -> Group:
    """Stages that take about as long as each other: of one kind and one method, or one family."""
    words = node.id.split(" ", 2)
    return node.kind, words[1] if node.kind not in ("clip", "dub", "faces") and len(words) > 1 else ""


def frames(record: Record) -> int:
    """Frames that a stage went through, as far as its record says; 0 when it does not."""
    told = [record.info.get("frames"), record.info.get("n_frames")]
    told += [score.get("n_total") for score in record.scores.values()]
    return max((int(n) for n in told if isinstance(n, (int, float))), default=0)


class Estimate:
    """What is known of the times of a run's stages.

    Attributes:
        started: when the run began, as `time.monotonic` tells it.
    """

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.started = time.monotonic()
        self._open = Counter(map(group, nodes))
        self._running: dict[str, tuple[Group, float]] = {}
        self._at_once = 1
        self._spent: defaultdict[Group, list[float]] = defaultdict(lambda: [0.0, 0.0])  # seconds, stages
        self._frames: defaultdict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # frames, seconds

    def __call__(self, event: str, node: Node, state: NodeState | None) -> None:
        """Hears what a runner tells its listener."""
        of = group(node)
        if event == "start":
            self._running[node.id] = of, time.monotonic()
            self._at_once = max(self._at_once, len(self._running))
        elif event == "again":
            self._open[of] += 1
        elif event == "end":
            self._running.pop(node.id, None)
            self._open[of] -= 1
            record = None if state is None else state.record
            if record is not None and record.status == "ok" and record.timing.get("wall_s"):
                self._learn(of, record)

    def _learn(self, of: Group, record: Record) -> None:
        wall = float(record.timing["wall_s"])
        for name in (of, (of[0], "")):
            self._spent[name][0] += wall
            self._spent[name][1] += 1
        if of[0] in BY_FRAMES and (n := frames(record)):
            self._frames[of[0]][0] += n
            self._frames[of[0]][1] += wall

    def usual(self, of: Group) -> float | None:
        """Seconds that such a stage takes; None while there is none to go by."""
        for name in (of, (of[0], "")):
            if name in self._spent:
                return self._spent[name][0] / self._spent[name][1]
        return None

    def rate(self, kind: str) -> float | None:
        """Frames per second of the stages of a kind; None when they have none."""
        n, seconds = self._frames.get(kind, (0.0, 0.0))
        return n / seconds if n and seconds else None

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def left(self) -> tuple[float, bool] | None:
        """Seconds until the end, and whether that is all: False when no stage of some kind was ever timed.

        None when nothing is known.
        """
        now, total, known, whole = time.monotonic(), 0.0, False, True
        for of, n in self._open.items():
            if n <= 0:
                continue
            usual = self.usual(of)
            if usual is None:
                whole = False
                continue
            known = True
            begun = sum(min(now - since, usual) for other, since in self._running.values() if other == of)
            total += max(n * usual - begun, 0.0)
        return (total / self._at_once, whole) if known else None

    def words(self) -> str:
        """ "1:03 so far, about 2:10 left"."""
        text = f"{clock(self.elapsed)} so far"
        left = self.left()
        if left is None or not any(n > 0 for n in self._open.values()):
            return text
        return f"{text}, {'about' if left[1] else 'more than'} {clock(left[0])} left"


def clock(seconds: float) -> str:
    """ "0:07", "12:30", "3:05:00"."""
    minutes, s = divmod(round(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{hours}:{m:02}:{s:02}" if hours else f"{m}:{s:02}"
