"""What `lipbench score` shows while it works: the step that runs, how far it is, and about how long the rest takes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

from lipbench.core import ticks, weights
from lipbench.core.metric import MetricFamily
from lipbench.media import MediaInfo

#: CPU milliseconds of a frame: in any case, and for each megapixel, once for each video that it is compared to. Only
#: their ratios matter: the clock says how fast this machine is.
COSTS = {
    "videos": (1.0, 25.0),
    "faces": (25.0, 10.0),
    "image": (2.0, 45.0),
    "image-variants": (5.0, 700.0),
    "lpips": (45.0, 330.0),
    "lpips-native": (20.0, 60.0),
    "lpips-vgg": (1000.0, 12000.0),
    "dists": (2500.0, 0.0),
    "xpsnr": (1.0, 12.0),
    "vif": (2.0, 115.0),
    "siti": (1.0, 37.0),
    "niqe": (2.0, 140.0),
    "brisque": (30.0, 90.0),
    "cpbd": (3.0, 110.0),
    "sync": (8.0, 25.0),
    "landmark-sync": (1.0, 0.0),
    "landmarks": (0.1, 0.0),
    "landmark-variants": (0.1, 0.0),
    "mesh": (0.1, 0.0),
    "temporal": (1.0, 15.0),
}
#: Of a family that is not known.
OTHER = (5.0, 30.0)
#: Seconds between two plain lines of one step.
PLAIN_S = 15.0


#: Passes over the frames; elsewhere one.
PASSES = {"sync": 2}
#: Steps of finding faces, as people read them.
TITLES = {
    "videos": "reading the videos",
    "faces": "faces of the source",
    "prediction_faces": "faces of the video",
    "truth_faces": "faces of the truth",
}


def cost(step: str, video: MediaInfo, compared_to: int = 1, every: int = 1) -> float:
    """About how long a step takes, in CPU seconds of some machine.

    Args:
        step: of COSTS, or a metric family.
        video: whose frames are looked at.
        compared_to: videos that it is compared to.
        every: how many frames it takes to have one that is looked at.
    """
    fixed, per_megapixel = COSTS.get(step, OTHER)
    return 1e-3 * video.n_frames / every * compared_to * (fixed + per_megapixel * video.width * video.height / 1e6)


def cost_of(family: MetricFamily, options: Mapping[str, Any], video: MediaInfo, n_others: int) -> float:
    """The same of a metric family, 0 for one that measures nothing: nothing to compare to, or no weights."""
    compares = any({"reference", "truth"} & spec.needs for spec in family.metrics)
    needed = {name for spec in family.metrics for name in spec.weights}
    if (compares and n_others == 0) or not all(weights.available(name) for name in needed):
        return 0.0
    return cost(family.id, video, n_others if compares else 1, int(options.get("every", 1)))


class ScoreProgress:
    """Which step runs and how much is left. This one says nothing; subclasses override `show`.

    Args:
        clock: seconds; for tests.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._left: dict[str, float] = {}
        self._done = 0.0
        self._total = self._frames = 1
        self._finished = 0
        self.step = ""
        self.part = 0.0  # of the step that runs
        self._own = 0.0  # its cost

    def __enter__(self) -> ScoreProgress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def expect(
        self,
        measured: Sequence[tuple[MetricFamily, Mapping[str, Any]]],
        video: MediaInfo,
        n_others: int,
        tracks: Sequence[str],
    ) -> None:
        """What is to come.

        Args:
            measured: families with their options.
            video: the one that is scored.
            n_others: files that it is compared to.
            tracks: the face tracks that are needed.
        """
        self._frames = video.n_frames
        self._left = {"videos": cost("videos", video, 1 + n_others)}
        self._left |= {name: cost("faces", video) for name in tracks}
        self._left |= {family.id: cost_of(family, options, video, n_others) for family, options in measured}
        self._total = len(self._left)

    @contextmanager
    def running(self, *steps: str) -> Iterator[None]:
        """Inside, a step runs, or several in one pass; the frames that they go through tell how far they are."""
        self.step, self.part = ", ".join(TITLES.get(step, step) for step in steps), 0.0
        self._own = sum(self._left.get(step, 0.0) for step in steps)
        frames = self._frames * max(PASSES.get(step, 1) for step in steps)
        seen = 0

        def tick() -> None:
            nonlocal seen
            seen += 1
            self.part = min(seen / frames, 1.0) if frames else 0.0
            self.show()

        self.show(starts=True)
        with ticks.heard_by(tick):
            yield
        self._done += self._own
        for step in steps:
            self._left.pop(step, None)
        self._finished += len(steps)
        self.step, self.part, self._own = "", 0.0, 0.0
        self.show()

    @property
    def share(self) -> float:
        """How much of the work is done, 0 to 1."""
        done = self._done + self.part * self._own
        total = self._done + sum(self._left.values())
        return done / total if total else 0.0

    @property
    def left_s(self) -> float | None:
        """About how many seconds the rest takes; None while nothing can be said."""
        share = self.share
        # Libraries load and caches fill at first: the first percent says little.
        return (self._clock() - self._began) * (1 - share) / share if share > 0.01 else None

    def show(self, *, starts: bool = False) -> None:
        """The state has changed."""


class PlainScoreProgress(ScoreProgress):
    """A line when a step begins, and one now and then while it runs; for logs and pipes."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._stream = stream or sys.stderr
        self._said = clock()

    def show(self, *, starts: bool = False) -> None:
        now = self._clock()
        if not self.step or not (starts or now - self._said >= PLAIN_S):
            return
        self._said = now
        part = "" if starts else f" {self.part:.0%}"
        rest = "" if self.left_s is None else f", about {spoken(self.left_s)} left"
        print(f"[{self._finished + 1}/{self._total}] {self.step}{part}{rest}", file=self._stream, flush=True)


class LiveScoreProgress(ScoreProgress):
    """A bar on a terminal, gone when all is measured."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rest]}"),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("", total=1.0, rest="")

    def __enter__(self) -> LiveScoreProgress:
        self._bar.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._bar.__exit__(*exc)

    def show(self, *, starts: bool = False) -> None:
        rest = "" if self.left_s is None else f"about {spoken(self.left_s)} left"
        self._bar.update(self._task, description=self.step, completed=self.share, rest=rest)


def spoken(seconds: float) -> str:
    """12 s, 1 min 40 s, 2 h 5 min."""
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def create() -> ScoreProgress:
    """The right progress for this terminal; it writes to stderr alone."""
    return LiveScoreProgress() if sys.stderr.isatty() else PlainScoreProgress()
