"""XPSNR, VIF and SI/TI by the libavfilter that PyAV carries, on request; its version is part of the key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import LipbenchError
from lipbench.core.metric import MetricFamily, MetricSpec, Options, Pair, Score, none_for
from lipbench.core.ticks import ticking
from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import FrameMetric, Value, specs
from lipbench.metrics.functional import libavfilter
from lipbench.metrics.functional.psnr import mean_psnr
from lipbench.metrics.image import GOOD_DECIBELS, GOOD_SIMILARITY, equal_frames_said
from lipbench.metrics.pair_reader import SUFFIX, FrameStep
from lipbench.metrics.regions import Box
from lipbench.metrics.series import from_frames

_SEEN = "420 yuv"


def _lacking(name: str, found: dict[str, LipbenchError]) -> dict[str, LipbenchError]:
    why = libavfilter.missing(name)
    return found if why is None else {**found, f"the filter {name}": why}


class _Compared(FrameMetric):
    """A filter that compares whole videos: the pictures go through it in a row, one of its kind for each comparison.

    Attributes:
        numbers: beginning of the metric ids -> the filter's name of the number.
    """

    on_request = True
    numbers: ClassVar[Mapping[str, str]]

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"libavfilter": libavfilter.version()}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        return _lacking(self.id, super().obstacles(options))

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def begin(self, pair: Pair, **options: Any) -> dict[str, libavfilter.Filter]:
        if (why := libavfilter.missing(self.id)) is not None:
            raise why
        return {}

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterator[Value]:
        for against, other in step.others.items():
            told: dict[str, float] = {}
            why = ""
            try:
                if against not in shared:
                    size = (other.shape[1], other.shape[0])
                    shared[against] = libavfilter.Filter(self.id, size, inputs=2)
                told = shared[against](step.prediction, other)
            except LipbenchError as error:
                why = f"{error.reason}: {error.one_line()}"
            for name, key in self.numbers.items():
                yield f"{name}_full{SUFFIX[against]}", why or told[key]


class XpsnrFamily(_Compared):
    """xpsnr_full and xpsnr_full_truth: of the luma; frames of equal luma are left out of the mean, as with PSNR."""

    id = "xpsnr"
    numbers: ClassVar[Mapping[str, str]] = {"xpsnr": "y"}
    metrics = specs(
        "xpsnr",
        "XPSNR",
        regions=("full",),
        unit="dB",
        better="higher",
        tolerance=0.01,
        decimals=2,
        source="Helmrich et al., ICASSP 2020; FFmpeg's filter xpsnr",
        convention=f"luma,{_SEEN},mean of dB",
        description="Peak signal-to-noise ratio in which errors weigh less where there is texture and motion",
        good=GOOD_DECIBELS,
    )

    def mean(self, spec: MetricSpec, per_frame: NDArray[np.float64]) -> float:
        return mean_psnr(per_frame)

    def finish(self, spec: MetricSpec, score: Score) -> Score:
        return equal_frames_said(spec, score)


class VifFamily(_Compared):
    """vif_scale0_full .. vif_scale3_full and the same with `_truth`: of the luma, each scale half of the one before."""

    id = "vif"
    numbers: ClassVar[Mapping[str, str]] = {f"vif_scale{k}": str(k) for k in range(4)}
    metrics = tuple(
        spec
        for k in range(4)
        for spec in specs(
            f"vif_scale{k}",
            f"VIF {k}",
            regions=("full",),
            unit="",
            better="higher",
            tolerance=1e-3,
            decimals=4,
            source="Sheikh, Bovik, IEEE TIP 15(2), 2006; FFmpeg's filter vif",
            convention=f"luma,{_SEEN},scale {k}",
            description=f"Share of the image's information that is left at 1/{2**k} of its size, 1 when equal",
            good=GOOD_SIMILARITY,
        )
    )


def _about(name: str, title: str, description: str, convention: str) -> MetricSpec:
    return MetricSpec(
        f"{name}_full",
        "1",
        title,
        "gray levels",
        "none",
        frozenset(),
        "full",
        tolerance=0.05,
        decimals=2,
        source="ITU-T P.910; FFmpeg's filter siti",
        convention=f"{name}[{convention},{_SEEN},mean over frames]",
        headline=False,
        description=description,
        good="as in the row of the source: it says what kind of picture this is, not how good it is",
    )


class SiTiFamily(MetricFamily):
    """si_full and ti_full: how much texture and how much motion a video has, whoever made it."""

    id = "siti"
    on_request = True
    options = Options
    metrics = (
        _about(
            "si", "Spatial information", "Spatial information: deviation of the Sobel-filtered luma.", "luma,full range"
        ),
        _about(
            "ti", "Temporal information", "Temporal information: deviation of the luma's change.", "luma,full range"
        ),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"libavfilter": libavfilter.version()}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        return _lacking(self.id, super().obstacles(options))

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def score(self, pair: Pair) -> Mapping[str, Score]:
        found: dict[str, list[float]] = {"si": [], "ti": []}
        one: libavfilter.Filter | None = None
        try:
            for t, frame in enumerate(ticking(media.read_frames(pair.prediction))):
                one = one or self._filter(frame)
                told = one(frame)
                found["si"].append(told["si"])
                found["ti"].append(told["ti"] if t else float("nan"))  # before the first frame there is none
        except LipbenchError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        scores = {f"{name}_full": from_frames(values) for name, values in found.items()}
        for name, score in scores.items():
            if score.value is None:
                scores[name] = Score(None, "too_short: no two frames in a row", score.per_frame, 0, score.n_total)
        return scores

    def _filter(self, frame: Frame) -> libavfilter.Filter:
        return libavfilter.Filter(self.id, (frame.shape[1], frame.shape[0]))
