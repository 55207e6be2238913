"""LPIPS in three regions, against the source (reference) and against the truth, in one pass over the frames.

The full frame is measured as it is. The trunk sees structure of a certain size in pixels, so face and mouth are brought
to one: the longer side becomes 256 px (face) or 128 px (mouth), by area averaging when that shrinks the crop and
bilinearly when it enlarges it. The sides keep their ratio.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import cv2
import numpy as np
from pydantic import Field

from lipbench.core import weights
from lipbench.core.errors import LipbenchError, WeightsError
from lipbench.core.metric import MetricSpec, Pair
from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import FrameMetric, FrameOptions, Value, specs
from lipbench.metrics.lpips_weights import FILES, Net, linear_file, linear_sha256
from lipbench.metrics.pair_reader import SUFFIX, FrameStep
from lipbench.metrics.regions import Box

#: Longer side that the network sees, px; the full frame stays as it is.
SIDE = {"face": 256, "mouth": 128}
#: What good values look like, by what a video is measured against.
GOOD = {"reference": "near 0, but never alone: a picture that was not dubbed at all has 0", "truth": "near 0"}


def as_seen(crop: Frame, side: int | None) -> Frame:
    """A crop as the network sees it: with this longer side, px; as it is for None."""
    if side is None or max(crop.shape[:2]) == side:
        return crop
    factor = side / max(crop.shape[:2])
    size = (max(round(crop.shape[1] * factor), 1), max(round(crop.shape[0] * factor), 1))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(crop, size, interpolation=method).astype(np.uint8, copy=False)


def _convention(net: Net, region: str, sides: Mapping[str, int] = SIDE) -> str:
    return f"{net},v0.1,rgb,{f'longer side {sides[region]}' if region in sides else 'native size'}"


class LpipsOptions(FrameOptions):
    """Options of the LPIPS families."""

    every: int = Field(
        1, ge=1, description="5 measures frames 0, 5, 10, ... alone, and the columns' titles say so. 1 measures all."
    )


class LpipsFamily(FrameMetric):
    """lpips_full, lpips_face, lpips_mouth, and the same with `_truth`; all AlexNet, v0.1."""

    id = "lpips"
    net: ClassVar[Net] = "alex"
    sides: ClassVar[Mapping[str, int]] = SIDE
    options = LpipsOptions
    metrics = specs(
        "lpips",
        "LPIPS",
        unit="",
        better="lower",
        tolerance=1e-3,
        decimals=4,
        weights=(FILES["alex"].trunk,),
        source="Zhang et al., CVPR 2018; AlexNet, v0.1",
        convention=lambda region: _convention("alex", region),
        description="Distance of the image in the features of AlexNet, 0 when equal",
        headlines=("lpips_full",),
        good=GOOD,
        published={"lpips_full": "0.16 to 0.48, six methods on film dubs (LipNeRF paper, Table I)"},
    )

    def named(self, spec: MetricSpec, options: Mapping[str, Any]) -> MetricSpec:
        every = self.parse(options).every
        if every == 1:
            return spec
        return replace(
            spec,
            title=f"{spec.title}, every {ordinal(every)} frame",
            convention=spec.convention.replace("[", f"[every {ordinal(every)} frame,", 1),
        )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        files = {"trunk": weights.sha256(FILES[self.net].trunk), "linear": linear_sha256(self.net)}
        return {**super().identity(options), "sides": dict(self.sides), **files}

    def obstacles(self, options: Mapping[str, Any]) -> dict[str, LipbenchError]:
        found = super().obstacles(options)
        try:
            linear_file(self.net)
        except WeightsError as error:
            found["the package lpips"] = error
        return found

    def begin(self, pair: Pair, **options: Any) -> Any:
        from lipbench.metrics.functional import lpips  # loads torch

        net = lpips.load(pair.device, self.net)
        # The next methods on the same dub are compared to the same frames.
        net.shelf.turn((pair.reference, pair.truth))
        return lpips.Comparisons(net, keep=not pair.alone)

    def looks_at(self, t: int, **options: Any) -> bool:
        return bool(t % options["every"] == 0)

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterator[Value]:
        files = FILES[self.net]
        for region, box in boxes.items():
            values: dict[str, Any] = dict.fromkeys(step.others)
            if box is not None:
                # The prediction goes through the network once for the reference and the truth.
                mine, *others = (
                    as_seen(box.cut(f), self.sides.get(region)) for f in (step.prediction, *step.others.values())
                )
                if min(mine.shape[:2]) < files.smallest:
                    why = f"unsupported: the {region} region is smaller than {files.title}'s {files.smallest} px"
                    values = dict.fromkeys(step.others, why)
                else:
                    values = dict(zip(step.others, shared.ask(mine, others), strict=True))
            for against, value in values.items():
                yield f"{self.metrics[0].id.rsplit('_', 1)[0]}_{region}{SUFFIX[against]}", value


class LpipsVggFamily(LpipsFamily):
    """lpips_vgg_full, lpips_vgg_face, lpips_vgg_mouth, and the same with `_truth`; all VGG-16, v0.1.

    Twenty times the cost of AlexNet and larger numbers, which compare with nothing that is called LPIPS alone.
    """

    id = "lpips-vgg"
    net = "vgg"
    on_request = True
    metrics = specs(
        "lpips_vgg",
        "LPIPS-VGG",
        unit="",
        better="lower",
        tolerance=1e-3,
        decimals=4,
        weights=(FILES["vgg"].trunk,),
        source="Zhang et al., CVPR 2018; VGG-16, v0.1",
        convention=lambda region: _convention("vgg", region),
        description="Distance of the picture in the features of VGG-16, 0 when equal",
        headlines=("lpips_vgg_full",),
        good=GOOD,
    )


class LpipsNativeFamily(LpipsFamily):
    """lpips_native_face, lpips_native_mouth, and the same with `_truth`: AlexNet on crops of the size that they have.

    The smaller the face in the picture, the larger the structures that the network sees: such numbers compare between
    videos of one size alone.
    """

    id = "lpips-native"
    sides: ClassVar[Mapping[str, int]] = {}
    on_request = True
    metrics = specs(
        "lpips_native",
        "LPIPS native",
        regions=("face", "mouth"),
        unit="",
        better="lower",
        tolerance=1e-3,
        decimals=4,
        weights=(FILES["alex"].trunk,),
        source="Zhang et al., CVPR 2018; AlexNet, v0.1",
        convention=lambda region: _convention("alex", region, {}),
        description="Distance of the crop, not resized, in the features of AlexNet, 0 when equal",
        good=GOOD,
    )


def ordinal(n: int) -> str:
    """2 -> "2nd", 5 -> "5th"."""
    end = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{end}"
