"""The base of metrics that look at a video alone, frame by frame: how sharp or natural a picture is, not what it shows.

A subclass measures one image; reading, boxes and means are done here. The face's box is that of the reference's face,
as everywhere, so that all rows of a table are measured at the same place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from lipbench import media
from lipbench.core import weights
from lipbench.core.errors import LipbenchError, Unsupported
from lipbench.core.metric import MetricFamily, MetricSpec, Pair, Score, none_for
from lipbench.core.ticks import ticking
from lipbench.metrics import regions as regions_module
from lipbench.metrics.arrays import Frame
from lipbench.metrics.series import from_frames

_PLACE = {"full": "whole frames", "face": "the face's box"}


def specs(
    name: str,
    title: str,
    *,
    better: Literal["higher", "lower"],
    convention: str,
    description: str,
    good: str,
    **fields: Any,
) -> tuple[MetricSpec, ...]:
    """The specs of one number of whole frames and of the face: `name_full`, `name_face`.

    Args:
        name: beginning of the metric ids.
        title: beginning of the column headers.
        better: "higher" or "lower".
        convention: the exact variant.
        description: what the number says; the region is added.
        good: what a good value looks like.
        fields: those of MetricSpec that all share: tolerance, decimals, source, weights.
    """
    return tuple(
        MetricSpec(
            f"{name}_{region}",
            "1",
            title if region == "full" else f"{title} {region}",
            "",
            better,
            frozenset() if region == "full" else frozenset({"faces"}),
            region,
            convention=f"{name}[{convention},{region}]",
            headline=False,
            description=f"{description}, {place}, without a reference.",
            good=good,
            **fields,
        )
        for region, place in _PLACE.items()
    )


class NoReferenceMetric(MetricFamily):
    """A family that measures every frame of the prediction by itself."""

    on_request = True

    def begin(self) -> Any:
        """What all frames share, handed to `frame`.

        Raises:
            LipbenchError: nothing can be measured; it becomes the reason of every metric.
        """

    def frame(self, image: Frame, shared: Any) -> float:
        """The number of one (H, W, 3) uint8 RGB image, NaN where it has none.

        Raises:
            Unsupported: the image cannot be measured; the error becomes the reason when none can.
        """
        raise NotImplementedError

    def uses_gpu(self, options: Mapping[str, Any]) -> bool:
        return False

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        files = {name: weights.sha256(name) for name in self.weights(options)}
        return {"regions": regions_module.VERSION, **files}

    def score(self, pair: Pair) -> Mapping[str, Score]:
        values: dict[str, list[float]] = {spec.id: [] for spec in self.metrics}
        reasons: dict[str, str] = {}
        size = (0, 0)
        try:
            shared = self.begin()
            places = regions_module.from_file(pair.faces, pair.faces_reason)
            for t, frame in enumerate(ticking(media.read_frames(pair.prediction))):
                size = (frame.shape[1], frame.shape[0])
                for spec in self.metrics:
                    image, value = places.cut(frame, spec.region, t), float("nan")
                    try:
                        value = value if image is None else self.frame(image, shared)
                    except Unsupported as error:
                        reasons.setdefault(spec.id, f"{error.reason}: {error.one_line()}")
                    if image is not None and value != value:
                        reasons.setdefault(spec.id, "unsupported: no frame has anything that it measures")
                    values[spec.id].append(value)
        except LipbenchError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        found = {}
        for spec in self.metrics:
            score = from_frames(values[spec.id], extra=places.facts(spec.region))
            if score.value is None:
                refusal = places.refusal(spec.region, score.n_total, size)
                why = refusal or reasons.get(spec.id) or score.reason
                score = Score(None, why, score.per_frame, 0, score.n_total, score.extra)
            found[spec.id] = score
        return found
