"""The base of metrics that compare frames: a subclass measures one box of one frame, everything else is done here.

    class Difference(FrameMetric):
        id = "difference"
        metrics = specs("difference", "Difference", regions=("mouth",), better="lower", unit="gray levels", ...)

        def frame(self, prediction, reference, box):
            return float(cv2.absdiff(box.cut(prediction), box.cut(reference)).mean())

Videos are read once, in step, also for several families (`measurement.measure_all`); the boxes follow the reference's
face; a frame that cannot be measured is left out. A video that is missing or has another size, length or kind of color
is the reason why there is no value, for that comparison alone. A video that runs frames ahead or behind is remarked,
and put right with the option `align`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.core.metric import MetricFamily, MetricSpec, Options, Pair, Score
from lipbench.metrics import regions as regions_module
from lipbench.metrics.arrays import Frame
from lipbench.metrics.measurement import FrameOptions, against_of, measure_all
from lipbench.metrics.pair_reader import AGAINST, SUFFIX, FrameStep
from lipbench.metrics.regions import Box
from lipbench.metrics.remarks import WHAT
from lipbench.metrics.series import plain_mean
from lipbench.metrics.timing import Shift

__all__ = ["Box", "Frame", "FrameMetric", "FrameOptions", "Options", "Value", "against_of", "specs"]

REGIONS = ("full", "face", "mouth")
#: A metric's id with its value in one frame, None, or the reason why there is none. A value may be computed later.
Value = tuple[str, "SupportsFloat | str | None"]


def specs(
    name: str,
    title: str,
    *,
    regions: Sequence[str] = REGIONS,
    against: Sequence[str] = AGAINST,
    convention: str | Callable[[str], str] = "",
    description: str = "",
    headlines: Sequence[str] = (),
    good: Mapping[str, str] | None = None,
    published: Mapping[str, str] | None = None,
    version: str = "1",
    **fields: Any,
) -> tuple[MetricSpec, ...]:
    """The specs of one number in several regions and against several videos: `name_region`, `name_region_truth`.

    Args:
        name: beginning of the metric ids, e.g. "psnr".
        title: beginning of the column headers, e.g. "PSNR".
        regions: of "full", "face", "mouth".
        against: of "reference" (the undubbed source) and "truth" (the correct video, which generated clips have).
        convention: the exact variant, or a function that tells it for a region.
        description: what the number says; the region and the video are added.
        headlines: ids of those that the default table shows.
        good: what a good value looks like, by what it is measured against.
        published: values published on recorded people, with their source, by metric id.
        version: bump it when the same video would get another number.
        fields: those of MetricSpec that all share: unit, better, tolerance, decimals, source, weights.
    """
    made = []
    for other in against:
        for region in regions:
            metric_id = f"{name}_{region}{SUFFIX[other]}"
            label = title if region == "full" else f"{title} {region}"
            variant = convention if isinstance(convention, str) else convention(region)
            made.append(
                MetricSpec(
                    id=metric_id,
                    version=version,
                    title=label + (" (truth)" if other == "truth" else ""),
                    needs=frozenset({other} if region == "full" else {other, "faces"}),
                    region=region,
                    convention=f"{name}[{','.join(w for w in (variant, region) if w)},vs {WHAT[other]}]",
                    headline=metric_id in headlines,
                    description=f"{description or title}, {_PLACE[region]}, against {WHAT[other]}.",
                    good=(good or {}).get(other, ""),
                    published=(published or {}).get(metric_id, ""),
                    **fields,
                )
            )
    return tuple(made)


_PLACE = {"full": "whole frames", "face": "the face's box", "mouth": "the mouth's box"}


class FrameMetric(MetricFamily):
    """A family that compares the frames of a prediction with those of the reference and the truth, box by box.

    `metrics` says what is measured: each spec's region, and the reference or the truth of its needs. `specs` writes it.
    Options arrive as keyword arguments, each under its name; `align` and `decoder` are dealt with where a family's
    options derive from `FrameOptions`, as the default ones do.

    Attributes:
        span: how many frames in a row `frame` sees; with 2 it sees a change.
    """

    options: type[Options] = FrameOptions
    span: int = 1

    def __init__(self) -> None:
        kind = type(self)
        if kind.frame is FrameMetric.frame and kind.measure is FrameMetric.measure:
            raise TypeError(f"{kind.__name__} defines neither `frame` nor `measure`")

    def frame(self, prediction: Frame, reference: Frame, box: Box, *args: Any, **options: Any) -> float | None:
        """The number of one box of one frame.

        Args:
            prediction: the whole frame, (H, W, 3) uint8 RGB; (span, H, W, 3) when `span` is larger than 1. Other
                families see the same array: read it, do not write into it.
            reference: the same of what it is compared to, of one size.
            box: the region of the first frame; `box.cut(prediction)` are its pixels.
            options: those of the family's model, by name.

        Returns:
            The number; None or NaN leaves the frame out. A mean over the frames becomes the clip's value.

        Raises:
            Unsupported: the box cannot be measured; the error becomes the reason when no frame can.
        """
        raise NotImplementedError  # `measure` does without it

    def looks_at(self, t: int, **options: Any) -> bool:
        """Whether frame t is measured at all; what is not neither counts as measured nor as missing."""
        return True

    def begin(self, pair: Pair, **options: Any) -> Any:
        """What the frames of a pair share, handed to `measure`: a network, for example.

        Raises:
            LipbenchError: nothing can be measured; it becomes the reason of every metric.
        """

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterable[Value]:
        """All numbers of one step. Override it to compute several regions or videos at once.

        Args:
            step: the frames; see `frame` for their shape.
            boxes: of every region that the family's metrics have; None where there is no such region.
            shared: what `begin` gave.

        Yields:
            Metric id and value; of every metric whose other video (`step.others`) is there, also when it has no box.
        """
        for spec in self.metrics:
            reference, box = step.others.get(against_of(spec)), boxes[spec.region]
            if reference is None:
                continue
            try:
                yield spec.id, None if box is None else self.frame(step.prediction, reference, box, **options)
            except Unsupported as error:
                yield spec.id, f"{error.reason}: {error.one_line()}"

    def mean(self, spec: MetricSpec, per_frame: NDArray[np.float64]) -> float:
        """The clip's value of (T,) values, NaN for frames that were not measured."""
        return plain_mean(per_frame)

    def finish(self, spec: MetricSpec, score: Score) -> Score:
        """The last word on a score: remarks and details."""
        return score

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        """The device is told to `begin`; frames alone are measured on the CPU."""
        kind = type(self)
        return kind.begin is not FrameMetric.begin or kind.score is not FrameMetric.score

    def at_shift(self, pair: Pair, against: str, shift: Shift) -> str:
        """What would be measured at a shift, in words for a remark; "" when that is not worth another pass."""
        return ""

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"regions": regions_module.VERSION}

    def score(self, pair: Pair) -> Mapping[str, Score]:
        return measure_all([(self, pair)])[0]
