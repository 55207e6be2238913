"""LPIPS in three regions, against the source (reference) and against the truth, in one pass over the frames.

The full frame is measured as it is. AlexNet sees structure of a certain size in pixels, so face and mouth are brought
to one: the longer side becomes 256 px (face) or 128 px (mouth), by area averaging when that shrinks the crop and
bilinearly when it enlarges it. The sides keep their ratio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import cv2
import numpy as np

from lipbench.core import weights
from lipbench.core.metric import Pair
from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import FrameMetric, Value, specs
from lipbench.metrics.lpips_weights import TRUNK, linear_sha256
from lipbench.metrics.pair_reader import SUFFIX, FrameStep
from lipbench.metrics.regions import Box

#: Longer side that the network sees, px; the full frame stays as it is.
SIDE = {"face": 256, "mouth": 128}


def as_seen(crop: Frame, region: str) -> Frame:
    """The crop of a region as the network sees it."""
    side = SIDE.get(region)
    if side is None or max(crop.shape[:2]) == side:
        return crop
    factor = side / max(crop.shape[:2])
    size = (max(round(crop.shape[1] * factor), 1), max(round(crop.shape[0] * factor), 1))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(crop, size, interpolation=method).astype(np.uint8, copy=False)


class LpipsFamily(FrameMetric):
    """lpips_full, lpips_face, lpips_mouth, and the same with `_truth`; all AlexNet, v0.1."""

    id = "lpips"
    metrics = specs(
        "lpips",
        "LPIPS",
        unit="",
        better="lower",
        tolerance=1e-3,
        decimals=4,
        weights=(TRUNK,),
        source="Zhang et al., CVPR 2018; AlexNet, v0.1",
        convention=lambda region: f"alex,v0.1,rgb,{f'longer side {SIDE[region]}' if region in SIDE else 'native size'}",
        description="Distance of the image in the features of AlexNet, 0 when equal",
        headlines=("lpips_full",),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        files = {"trunk": weights.sha256(TRUNK), "linear": linear_sha256()}
        return {**super().identity(options), "sides": SIDE, **files}

    def begin(self, pair: Pair, **options: Any) -> Any:
        from lipbench.metrics.functional import lpips  # loads torch

        return lpips.load(pair.device)

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterator[Value]:
        from lipbench.metrics.functional.lpips import SMALLEST, distances

        for region, box in boxes.items():
            values: dict[str, Any] = dict.fromkeys(step.others)
            if box is not None:
                # The prediction goes through the network once for the reference and the truth.
                mine, *others = (as_seen(box.cut(f), region) for f in (step.prediction, *step.others.values()))
                if min(mine.shape[:2]) < SMALLEST:
                    why = f"unsupported: the {region} region is smaller than AlexNet's {SMALLEST} px"
                    values = dict.fromkeys(step.others, why)
                else:
                    values = dict(zip(step.others, distances(shared, mine, others), strict=True))
            for against, value in values.items():
                yield f"lpips_{region}{SUFFIX[against]}", value
