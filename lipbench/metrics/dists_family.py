"""DISTS in three regions, against the source (reference) and against the truth, in one pass over the frames.

Images whose shorter side has more than 256 px are brought to that, as its authors advise; smaller ones stay as they
are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lipbench.core import weights
from lipbench.core.metric import Pair
from lipbench.metrics.frame_metric import FrameMetric, Value, specs
from lipbench.metrics.lpips_family import GOOD
from lipbench.metrics.pair_reader import SUFFIX, FrameStep
from lipbench.metrics.regions import Box


class DistsFamily(FrameMetric):
    """dists_full, dists_face, dists_mouth, and the same with `_truth`."""

    id = "dists"
    on_request = True
    metrics = specs(
        "dists",
        "DISTS",
        unit="",
        better="lower",
        tolerance=1e-3,
        decimals=4,
        weights=("vgg16", "dists"),
        source="Ding et al., TPAMI 2020; weights of DISTS-pytorch 0.1",
        convention="vgg16,rgb,shorter side at most 256",
        description="Distance of the image in structure and texture of VGG-16's features, 0 when equal",
        good=GOOD,
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        files = {name: weights.sha256(name) for name in self.weights(options)}
        return {**super().identity(options), **files}

    def begin(self, pair: Pair, **options: Any) -> Any:
        from lipbench.metrics.functional import dists  # loads torch

        return dists.load(pair.device)

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterator[Value]:
        from lipbench.metrics.functional import dists

        for region, box in boxes.items():
            values: dict[str, Any] = dict.fromkeys(step.others)
            if box is not None and min(box.size) < dists.SMALLEST:
                why = f"unsupported: the {region} region is smaller than VGG-16's {dists.SMALLEST} px"
                values = dict.fromkeys(step.others, why)
            elif box is not None:
                # The prediction goes through the network once for the reference and the truth.
                mine = dists.as_seen(box.cut(step.prediction))
                known = dists.features(shared, mine)
                for against, other in step.others.items():
                    values[against] = dists.between(shared, known, dists.as_seen(box.cut(other)), mine)
            for against, value in values.items():
                yield f"dists_{region}{SUFFIX[against]}", value
