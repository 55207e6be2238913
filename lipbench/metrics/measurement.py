"""The passes over the frames: families that compare the same videos at the same shifts share one reading of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np
from pydantic import Field

from lipbench.core.errors import LipbenchError, UsageError
from lipbench.core.metric import MetricSpec, Pair, Score, none_for
from lipbench.media.pixels import Decoder
from lipbench.metrics import regions as regions_module
from lipbench.metrics import timing
from lipbench.metrics.pair_reader import ABSENT, AGAINST, FrameStep, PairReader
from lipbench.metrics.regions import Box
from lipbench.metrics.remarks import Remarks
from lipbench.metrics.series import from_frames
from lipbench.metrics.timing import AlignOptions, Shift

if TYPE_CHECKING:
    from lipbench.metrics.frame_metric import FrameMetric


class FrameOptions(AlignOptions):
    """Options of families that compare frames."""

    decoder: Decoder = Field(
        "exact",
        description="Whose colors the frames have: exact, or those of OpenCV 4, whose fast conversion is about a gray "
        "level off and which evaluation scripts read; recipes use it.",
    )


def measure_all(asked: Sequence[tuple[FrameMetric, Pair]]) -> list[Mapping[str, Score]]:
    """The scores of several families, each on its pair.

    Pairs of the same videos are read once: every frame is decoded and converted once and handed to each family.

    Returns:
        For each entry of `asked`, a Score per metric id.

    Raises:
        UsageError: wrong options of a family.
    """
    found: dict[int, Mapping[str, Score]] = {}
    passes: dict[Any, list[tuple[int, Measurement]]] = {}
    for i, (family, pair) in enumerate(asked):
        made = Measurement.of(family, pair)
        if isinstance(made, Measurement):
            videos = (pair.prediction, pair.reference, pair.truth)
            how = (videos, made.decoder, tuple(sorted(made.shifts.items())))
            passes.setdefault(how, []).append((i, made))
        else:
            found[i] = made
    for together in passes.values():
        measurements = [measurement for _, measurement in together]
        reader = PairReader(measurements[0].pair, measurements[0].shifts, measurements[0].decoder)
        if looking := [measurement for measurement in measurements if measurement.looks]:
            for step in reader:
                for measurement in looking:
                    measurement.take(step)
        found |= {i: measurement.scores(reader) for i, measurement in together}
    return [found[i] for i in range(len(asked))]


class Measurement:
    """One family on its way through the frames of a pair.

    Attributes:
        shifts: "reference", "truth" -> the shift at which it is compared, where that is not 0.
        decoder: whose colors the frames have.
    """

    def __init__(
        self, family: FrameMetric, pair: Pair, options: dict[str, Any], align: bool, decoder: Decoder, shared: Any
    ) -> None:
        self.family, self.pair, self.decoder = family, pair, decoder
        self._options, self._align, self._shared = options, align, shared
        self._regions = regions_module.from_file(pair.faces, pair.faces_reason)
        self._found = {name: shift for name in AGAINST if (shift := timing.find(pair, name)) is not None}
        self.shifts = {name: s.frames for name, s in self._found.items() if align and not s.start}
        # The boxes follow the reference's face.
        self._ahead = self.shifts.get("reference", 0) if pair.reference is not None else 0
        self._wanted = tuple(dict.fromkeys(spec.region for spec in family.metrics))
        self._values: dict[str, list[SupportsFloat]] = {spec.id: [] for spec in family.metrics}
        self._looked = dict.fromkeys(self._values, 0)
        self._reasons: dict[str, str] = {}
        self._last: list[FrameStep] = []  # up to `span` of them

    @classmethod
    def of(cls, family: FrameMetric, pair: Pair) -> Measurement | Mapping[str, Score]:
        """A measurement, or why nothing can be measured.

        Raises:
            UsageError: wrong options.
        """
        options = dict(family.parse(pair.options))
        align = bool(options.pop("align", False)) if issubclass(family.options, AlignOptions) else False
        decoder: Decoder = options.pop("decoder") if issubclass(family.options, FrameOptions) else "exact"
        try:
            return cls(family, pair, options, align, decoder, family.begin(pair, **options))
        except UsageError:
            raise
        except LipbenchError as error:
            return none_for(family.metrics, f"{error.reason}: {error.one_line()}")

    @property
    def looks(self) -> bool:
        """Whether there is anything to look at: without any box the pass is spared."""
        return not all(region in self._regions.reasons for region in self._wanted)

    def take(self, step: FrameStep) -> None:
        """Measure the next frame, or with a longer span the frames that it completes."""
        span = self.family.span
        if span > 1:
            self._last = [*self._last, step][-span:]
            if len(self._last) < span:
                return
            step = _in_a_row(self._last)
        there = [spec.id for spec in self.family.metrics if against_of(spec) in step.others]
        if not self.family.looks_at(step.t, **self._options):
            for name in there:
                self._values[name].append(float("nan"))
            return
        for name in there:
            self._looked[name] += 1
        boxes = {region: self._box(region, step) for region in self._wanted}
        for name, value in self.family.measure(step, boxes, self._shared, **self._options):
            if isinstance(value, str):
                self._reasons.setdefault(name, value)
            self._values[name].append(float("nan") if value is None or isinstance(value, str) else value)

    def _box(self, region: str, step: FrameStep) -> Box | None:
        """The box of the first frame, where every frame of the step has one; the track runs `ahead` frames ahead."""
        span = self.family.span
        frame = step.prediction if span == 1 else step.prediction[0]
        first = step.t + self._ahead
        boxes = [self._regions.box(frame, region, t) if t >= 0 else None for t in range(first, first + span)]
        return boxes[0] if all(boxes) else None

    def scores(self, reader: PairReader) -> dict[str, Score]:
        """The clip's scores after the pass."""
        if not self.looks:
            absent = {name: why for name, why in ABSENT.items() if getattr(self.pair, name) is None}
            reasons = self._regions.reasons
            return {s.id: Score(None, absent.get(against_of(s), reasons[s.region])) for s in self.family.metrics}
        about = {name: self._remarks(name, reader) for name in AGAINST}
        return {
            spec.id: about[against_of(spec)].added(self.family.finish(spec, self._score(spec, reader)))
            for spec in self.family.metrics
        }

    def _remarks(self, name: str, reader: PairReader) -> Remarks:
        shift: Shift | None = self._found.get(name)
        then = ""
        if shift is not None and not (self._align or shift.start or name in reader.refusals):
            then = self.family.at_shift(self.pair, name, shift)
        return Remarks.of(reader.remarks.get(name), shift, name, name in self.shifts, then)

    def _score(self, spec: MetricSpec, reader: PairReader) -> Score:
        """The refusal that applies, else the mean over the measured frames."""
        against, span = against_of(spec), self.family.span
        if against in reader.refusals:
            return Score(None, reader.refusals[against])
        n_frames = reader.compared(against)
        if refusal := self._regions.refusal(spec.region, n_frames + reader.passed(against), reader.size):
            return Score(None, refusal, n_total=n_frames)
        extra = {**reader.facts(against), **self._regions.facts(spec.region)}
        values = [*([float("nan")] * reader.lead(against)), *map(float, self._values[spec.id])]
        score = from_frames(values, mean=lambda measured: self.family.mean(spec, measured), extra=extra)
        reason = self._reasons.get(spec.id)
        if score.value is None and reason is None and span > 1:
            reason = f"too_short: no {_COUNT.get(span, span)} frames in a row have a face"
        per_frame = np.append(np.asarray(score.per_frame), [np.nan] * (span - 1))
        if score.value is None:
            score = replace(score, reason=reason or score.reason)
        return replace(score, per_frame=per_frame, n_total=self._looked[spec.id])


_COUNT = {2: "two", 3: "three"}


def against_of(spec: MetricSpec) -> str:
    """What a metric compares the prediction to: "truth" or "reference"."""
    return "truth" if "truth" in spec.needs else "reference"


def _in_a_row(steps: Sequence[FrameStep]) -> FrameStep:
    """Steps in a row as one of (span, H, W, 3) frames, numbered by its first one; what all of them have."""
    others = {
        name: np.stack([s.others[name] for s in steps])
        for name in steps[-1].others
        if all(name in s.others for s in steps)
    }
    return FrameStep(steps[0].t, np.stack([s.prediction for s in steps]), others)
