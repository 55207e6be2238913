"""What a metric is to lipbench.

A family is one piece of code that measures one or more metrics in one pass over the frames (psnr_full, psnr_face and
psnr_mouth share their decoding); a metric is one number with a name, a unit and a direction. The engine runs families
and stores `Score`s; tables know metrics.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lipbench.core.errors import LipbenchError, UsageError, WeightsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MetricSpec:
    """One number.

    Attributes:
        id: as in tables and files, e.g. "lse_d", "psnr_mouth".
        version: bump it when the same video would get another number.
        title: column header without the arrow, e.g. "LSE-D".
        unit: "dB", "frames", "px", "" for none.
        better: "higher", "lower", "none" (shown, never ranked) or "zero" (the smaller the magnitude the better).
        needs: of {"reference", "truth", "audio", "faces", "prediction_faces", "truth_faces", "mesh"}.
        region: "full", "face", "mouth" or "".
        aggregate: how frames become the clip's value: "mean_over_frames" or "whole_clip".
        tolerance: absolute change that a rerun on other hardware may show.
        decimals: for tables.
        source: where the definition comes from.
        weights: names in the weights registry.
        convention: exact variant, e.g. "ssim[rgb,gauss11s1.5,pop,valid]".
        headline: shown in the default table.
        description: what the number says, one sentence for people.
        good: what a good value looks like, a few words for people: "near 0", "low, next to the row of a correct video".
        published: values that were published on recorded people, with their source; "" where none are known, or where
            the numbers compare with none.
    """

    id: str
    version: str
    title: str
    unit: str
    better: Literal["higher", "lower", "none", "zero"]
    needs: frozenset[str]
    region: str = ""
    aggregate: Literal["mean_over_frames", "whole_clip"] = "mean_over_frames"
    tolerance: float = 1e-6
    decimals: int = 3
    source: str = ""
    weights: tuple[str, ...] = ()
    convention: str = ""
    headline: bool = True
    description: str = ""
    good: str = ""
    published: str = ""


class Options(BaseModel):
    """Options of a metric family: frozen, typed, unknown names refused. Subclass it; describe each field."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Score:
    """One measured number, or the reason why there is none. Never NaN, never 0 for "unknown".

    Attributes:
        value: the clip's value; +inf is allowed (PSNR of identical videos); None = not measurable.
        reason: why `value` is None, or a remark on how it came about.
        per_frame: (T,) float, NaN where a frame has none; None when the metric has no per-frame form.
        n_valid: frames (or windows) that were measured.
        n_total: frames (or windows) that were looked at.
        extra: JSON details (constants, per-track rows).
    """

    value: float | None
    reason: str | None = None
    per_frame: NDArray[np.float64] | None = None
    n_valid: int = 0
    n_total: int = 0
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is not None and math.isnan(self.value):
            raise ValueError("a score is never NaN: use value=None with a reason")
        if self.value is None and not self.reason:
            raise ValueError("a score without a value needs a reason")


@dataclass(frozen=True)
class Pair:
    """A video to be measured and everything it may be measured against; all files, nothing decoded yet.

    Attributes:
        prediction: the method's video.
        reference: the undubbed source laid over the dub (same frame count), or None.
        truth: the correct video (generated clips), or None.
        audio: 16 kHz mono PCM16 wav of the dub, or None when the prediction has its own audio to be scored.
        sound: wav of what `audio` was made of, at its own rate with its channels, or None when that is not known.
        faces: saved FaceTrack of `reference`, already laid over the dub, or None.
        faces_reason: why `faces` is None.
        prediction_faces: saved FaceTrack of `prediction`, or None (families that need it say so in `needs`);
            prediction_faces_reason says why it is None.
        truth_faces: the same of `truth`, found by the same backend, so that its bias cancels.
        truth_faces_reason: why `truth_faces` is None.
        truth_annotations: per-frame truth (npz) of generated clips, or None.
        prediction_annotations: the same of the prediction, when the method handed it over, or None.
        fps: frames per second of all videos.
        source_fps: of the file that the prediction was brought to `fps` from, where it is known.
        work: private scratch directory.
        options: values of the family's `options` model, e.g. {"sync_model": "syncnet_v2", "protocol": "realvideo"}.
        device: where to compute; never part of a key.
        threads: how many to compute with; never part of a key.
        alone: nothing else will be compared to the same reference in this process, so nothing need be kept of it;
            never part of a key.
    """

    prediction: Path
    reference: Path | None
    truth: Path | None
    audio: Path | None
    faces: Path | None
    faces_reason: str
    prediction_faces: Path | None
    truth_annotations: Path | None
    fps: float
    work: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    prediction_faces_reason: str = ""
    prediction_annotations: Path | None = None
    truth_faces: Path | None = None
    truth_faces_reason: str = ""
    source_fps: float | None = None
    sound: Path | None = None
    alone: bool = False


class MetricFamily(ABC):
    """Measures all of its metrics in one pass. What compares frames is easier to write as a `FrameMetric`.

    Attributes:
        id: lower case, hyphens: "image", "sync".
        metrics: the specs of what it measures.
        options: the model of what a run may choose; none by default.
        on_request: measured only where a run names it: what is too slow, or too close to another family, for every run.
    """

    id: str
    metrics: tuple[MetricSpec, ...]
    options: type[Options] = Options
    on_request: bool = False

    def named(self, spec: MetricSpec, options: Mapping[str, Any]) -> MetricSpec:
        """A spec as tables show it under these options: another title, where an option makes it another number.

        Its version need not be changed: options that are not at their defaults are part of it in every run.
        """
        return spec

    def needs(self, options: Mapping[str, Any]) -> frozenset[str]:
        """What its metrics need under these options; what all specs need unless a family knows better.

        "sound" beside it: `Pair.sound` is used where it is known.
        """
        return frozenset().union(*(spec.needs for spec in self.metrics))

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        """Whether it computes on `pair.device`; True unless a family knows better. The others never wait for a GPU."""
        return True

    def parse(self, options: Mapping[str, Any]) -> Any:
        """Options as an instance of the family's model.

        Raises:
            UsageError: an unknown name, a missing or a wrong value.
        """
        return parse_options(self.options, options, self.id)

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """What can change the numbers beside versions and options: hashes of weights in use.

        JSON; part of score keys. What stands here under an option's name is keyed in place of that option's value: a
        file's name and hash in place of its path.
        """
        return {}

    def weights(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Names of the weights that it loads under these options; those of its specs unless a family knows better."""
        return tuple(dict.fromkeys(name for spec in self.metrics for name in spec.weights))

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        """What keeps it from measuring any video under these options: what is missing -> what its scores would say.

        Weights stand under their names.
        """
        from lipbench.core import weights  # here, not above: most who import this module look at no file

        found: dict[str, LipbenchError] = {}
        for name in self.weights(options):
            try:
                weights.path(name)
            except WeightsError as error:
                found[name] = error
        return found

    def hinders(self, name: str, metric: MetricSpec) -> bool:
        """Whether a metric needs what `obstacles` calls `name`: all of the family do, unless specs name the weights."""
        return name in metric.weights or not any(name in other.weights for other in self.metrics)

    def too_short(self, options: Mapping[str, Any], seconds: float) -> str:
        """Why it cannot measure a video of this length, "" where it may: what is known without looking at the video."""
        return ""

    @abstractmethod
    def score(self, pair: Pair) -> Mapping[str, Score]:
        """One Score per metric id.

        Raises only for wrong options and faults of its own: what an input lacks becomes a Score with value None and a
        reason.
        """


def parse_options(model: type[Options], options: Mapping[str, Any], family: str) -> Any:
    """`options` as an instance of `model`; `family` names them in errors.

    Raises:
        UsageError: an unknown name, a missing or a wrong value.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"the {family} option {where!r} is wrong",
            str(first["msg"]),
            f"known options: {', '.join(model.model_fields)}" if model.model_fields else f"{family} has no options",
        ) from error


def none_for(metrics: tuple[MetricSpec, ...], reason: str) -> dict[str, Score]:
    """The same refusal for every metric of a family."""
    return {spec.id: Score(None, reason) for spec in metrics}
