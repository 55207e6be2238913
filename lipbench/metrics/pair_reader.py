"""Reading a prediction in step with what it is compared to; nothing but the current frames is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.core.metric import Pair
from lipbench.core.ticks import ticking
from lipbench.media import color
from lipbench.media.pixels import Decoder
from lipbench.media.recent import read_again
from lipbench.metrics.arrays import Frame

#: What a prediction is compared to, in the order of tables.
AGAINST = ("reference", "truth")
#: The same, as metric ids end.
SUFFIX = {"reference": "", "truth": "_truth"}
ABSENT = {
    "reference": "no_reference: no reference video was given",
    "truth": "no_truth: no truth video: only generated clips have one",
}


def size_mismatch(mine: tuple[int, ...], theirs: tuple[int, ...], name: str) -> str:
    """Why a prediction is not compared with a video of another (width, height), px."""
    return (
        f"size_mismatch: the prediction is {mine[0]}x{mine[1]}, the {name} {theirs[0]}x{theirs[1]}; make it at that "
        "size, or let it be scaled (lipbench score --resize)"
    )


@dataclass(frozen=True)
class FrameStep:
    """Frame t of the prediction and of every video that it can be compared to ("reference", "truth")."""

    t: int
    prediction: Frame
    others: Mapping[str, Frame]


class PairReader:
    """Iterate once over the frames; ask for refusals afterwards.

    Videos of another size are refused, as are videos that differ in length by more than one frame (a frame more or
    less is what containers and encoders do; then the common frames are compared), as is HDR against SDR. Each
    comparison stands for itself: a truth of the wrong length does not spoil the reference.

    Args:
        shifts: name -> k: frame t of the prediction stands beside frame t + k of that video.
        decoder: whose colors the frames have (`media.pixels`).
    """

    def __init__(self, pair: Pair, shifts: Mapping[str, int] | None = None, decoder: Decoder = "exact") -> None:
        self._decoder = decoder
        self._prediction = pair.prediction
        self._paths: dict[str, Path] = {}
        self._counts: dict[str, int] = {}
        self._shifts = dict(shifts or {})
        self.remarks: dict[str, str] = {}
        self.n_prediction = 0
        self.size = (0, 0)  # width, height
        self.refusals: dict[str, str] = {}
        for name in AGAINST:
            path = getattr(pair, name)
            if path is None:
                self.refusals[name] = ABSENT[name]
            else:
                self._paths[name] = path
                self._counts[name] = 0

    def __iter__(self) -> Iterator[FrameStep]:
        if not self._paths:
            return
        others: dict[str, Iterator[Frame]] = {}
        for name, path in self._paths.items():
            try:
                self._compare_colors(name, path)
                others[name] = read_again(path, decoder=self._decoder)
            except MediaError as error:
                self._refuse(name, error)
        others = {name: frames for name, frames in others.items() if name not in self.refusals}
        if not others:
            return
        for name in list(others):
            for _ in range(self._shifts.get(name, 0)):
                if name in others:
                    self._next(name, others)
        try:
            for t, prediction in enumerate(ticking(read_again(self._prediction, decoder=self._decoder))):
                self.n_prediction += 1
                self.size = (prediction.shape[1], prediction.shape[0])
                frames = {}
                for name in list(others):
                    if t < -self._shifts.get(name, 0):
                        continue
                    frame = self._next(name, others)
                    if frame is None:
                        continue
                    if frame.shape != prediction.shape:
                        self.refusals[name] = size_mismatch(self.size, frame.shape[1::-1], name)
                        del others[name]
                        continue
                    frames[name] = frame
                if frames:
                    yield FrameStep(t, prediction, frames)
                elif len(self.refusals) == len(AGAINST):
                    return
        except MediaError as error:
            for name in self._paths:
                self._refuse(name, error)
            return
        for name in list(others):  # only to say how long it is
            while self._next(name, others) is not None:
                pass
        for name, count in self._counts.items():
            lost = self._shifts.get(name, 0)  # what the shift explains is no difference
            apart = min(abs(count - self.n_prediction), abs(count - lost - self.n_prediction))
            if name not in self.refusals and apart > 1:
                self.refusals[name] = f"length_mismatch: prediction has {self.n_prediction} frames, {name} {count}"

    def _compare_colors(self, name: str, path: Path) -> None:
        mine, theirs = media.color_facts(self._prediction).color, media.color_facts(path).color
        if refusal := color.refusal(mine, theirs, name):
            self.refusals[name] = refusal
        elif remark := color.remark(mine, theirs, name):
            self.remarks[name] = remark

    def _next(self, name: str, others: dict[str, Iterator[Frame]]) -> Frame | None:
        try:
            frame = next(others[name], None)
        except MediaError as error:
            self._refuse(name, error)
            frame = None
        if frame is None:
            del others[name]
        else:
            self._counts[name] += 1
        return frame

    def _refuse(self, name: str, error: MediaError) -> None:
        self.refusals.setdefault(name, f"{error.reason}: {error.one_line()}")

    def compared(self, name: str) -> int:
        """How many frames both have."""
        return min(self.n_prediction, self._counts[name])

    def passed(self, name: str) -> int:
        """How many of the other's first frames have no partner because of the shift."""
        return max(self._shifts.get(name, 0), 0)

    def lead(self, name: str) -> int:
        """How many of the prediction's first frames have no partner because of the shift."""
        return min(max(-self._shifts.get(name, 0), 0), self.n_prediction)

    def facts(self, name: str) -> dict[str, Any]:
        """What a record keeps: the counts, when they differ."""
        if self._counts[name] == self.n_prediction:
            return {}
        return {"frames": {"prediction": self.n_prediction, name: self._counts[name]}}
