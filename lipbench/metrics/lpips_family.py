"""LPIPS in three regions, against the source (reference) and against the truth, in one pass over the frames.

The full frame is measured as it is. AlexNet sees structure of a certain size in pixels, so face and mouth are brought
to one: the longer side becomes 256 px (face) or 128 px (mouth), by area averaging when that shrinks the crop and
bilinearly when it enlarges it. The sides keep their ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from lipbench.core import weights
from lipbench.core.errors import MediaError, WeightsError
from lipbench.core.metric import MetricSpec, Pair, Score, none_for
from lipbench.metrics import regions as regions_module
from lipbench.metrics.arrays import Frame
from lipbench.metrics.image import REGIONS, specs
from lipbench.metrics.lpips_weights import TRUNK, linear_sha256
from lipbench.metrics.pair_reader import AGAINST, SUFFIX, PairReader
from lipbench.metrics.series import Series

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


class LpipsFamily:
    """lpips_full, lpips_face, lpips_mouth, and the same with `_truth`; all AlexNet, v0.1."""

    id = "lpips"
    metrics: tuple[MetricSpec, ...] = tuple(
        specs(
            "lpips",
            "LPIPS",
            lambda region: f"alex,v0.1,rgb,{f'longer side {SIDE[region]}' if region in SIDE else 'native size'}",
            unit="",
            better="lower",
            tolerance=1e-3,
            decimals=4,
            weights=(TRUNK,),
            source="Zhang et al., CVPR 2018; AlexNet, v0.1",
        )
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "regions": regions_module.VERSION,
            "sides": SIDE,
            "trunk": weights.sha256(TRUNK),
            "linear": linear_sha256(),
        }

    def score(self, pair: Pair) -> Mapping[str, Score]:
        from lipbench.metrics import perceptual  # loads torch

        try:
            net = perceptual.load(pair.device)
            regions = regions_module.from_file(pair.faces, pair.faces_reason)
        except (WeightsError, MediaError) as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        reader, series = PairReader(pair), Series()
        small: set[str] = set()
        for step in reader:
            for region in REGIONS:
                images = [regions.cut(f, region, step.t) for f in (step.prediction, *step.others.values())]
                seen = [as_seen(image, region) for image in images if image is not None]
                values: list[float | None] = [None] * len(step.others)
                if seen and min(seen[0].shape[:2]) < perceptual.SMALLEST:
                    small.add(region)
                elif seen:
                    values = [*perceptual.distances(net, seen[0], seen[1:])]
                for against, value in zip(step.others, values, strict=True):
                    series.add(against, "lpips", region, value)
        scores = {}
        for against in AGAINST:
            for region in REGIONS:
                score = series.score(against, "lpips", region, reader, regions)
                if score.value is None and region in small and against not in reader.refusals:
                    why = f"unsupported: the {region} region is smaller than AlexNet's {perceptual.SMALLEST} px"
                    score = replace(score, reason=why)
                scores[f"lpips_{region}{SUFFIX[against]}"] = score
        return scores
