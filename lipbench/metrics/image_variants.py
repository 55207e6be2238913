"""PSNR and SSIM as other code computes them, each under its own name, on request.

What each is stands in `functional.ssim_variants` and `functional.psnr`. The two `_96_` numbers are of the face's box
squeezed to 96 x 96 px, as TalkLip measures it; its PSNR wraps in uint8.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.metric import MetricSpec
from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import FrameMetric, Value, specs
from lipbench.metrics.functional import psnr
from lipbench.metrics.image import GOOD_DECIBELS, GOOD_SIMILARITY
from lipbench.metrics.pair_reader import SUFFIX, FrameStep
from lipbench.metrics.regions import Box

#: Side of TalkLip's faces, px.
SIDE = 96
SIMILARITY: dict[str, Any] = {"unit": "", "better": "higher", "tolerance": 1e-4, "decimals": 4, "good": GOOD_SIMILARITY}
DECIBELS: dict[str, Any] = {"unit": "dB", "better": "higher", "tolerance": 0.01, "decimals": 2, "good": GOOD_DECIBELS}
#: Arithmetic that wraps can make a worse picture's number higher.
NEVER = "nothing: it is for comparison with numbers that were computed so"


def _squeezed(frame: Frame) -> Frame:
    return cv2.resize(frame, (SIDE, SIDE)).astype(np.uint8, copy=False)


@functools.cache
def _functions() -> dict[str, tuple[Callable[[Frame, Frame], float], int]]:
    """Beginning of the ids -> its function of two crops, and the shorter side that it needs, px."""
    from lipbench.metrics.functional import ssim, ssim_variants  # need numba, which a cached run does not

    return {
        "ssim_uniform": (ssim_variants.frame_ssim_uniform, 7),
        "ssim_gray": (ssim_variants.frame_ssim_gray, 11),
        "ssim_padded": (ssim_variants.frame_ssim_padded, 1),
        "ssim_96": (lambda a, b: ssim.frame_ssim(_squeezed(a), _squeezed(b)), 1),
        "psnr_pooled": (psnr.frame_psnr, 1),
        "psnr_wrapped_96": (lambda a, b: psnr.frame_psnr_wrapped(_squeezed(a), _squeezed(b)), 1),
    }


class ImageVariantsFamily(FrameMetric):
    """ssim_uniform_*, ssim_gray_*, ssim_padded_*, psnr_pooled_*, and ssim_96_face and psnr_wrapped_96_face."""

    id = "image-variants"
    on_request = True
    metrics = (
        *specs(
            "ssim_uniform",
            "SSIM 7x7",
            **SIMILARITY,
            source="scikit-image's structural_similarity with its defaults",
            convention="rgb,uniform7,sample,valid",
            description="Structural similarity of the image with a window of equal weights, 1 when equal",
        ),
        *specs(
            "ssim_gray",
            "SSIM gray",
            **SIMILARITY,
            source="Wang et al., IEEE TIP 13(4), 2004, on luma",
            convention="gray,gauss11s1.5,pop,valid",
            description="Structural similarity of the gray image, 1 when equal",
        ),
        *specs(
            "ssim_padded",
            "SSIM padded",
            **SIMILARITY,
            source="graphdeco-inria/gaussian-splatting, utils/loss_utils.py",
            convention="rgb,gauss11s1.5,pop,zero padded",
            description="Structural similarity of the image with zeros around it, 1 when equal",
        ),
        *specs(
            "ssim_96",
            "SSIM 96",
            regions=("face",),
            **SIMILARITY,
            source="Sxjdwang/TalkLip, evaluation/visual_quality.py",
            convention="rgb,gauss11s1.5,pop,valid,96x96",
            description="Structural similarity of the face at 96 x 96 px, 1 when equal",
        ),
        *specs(
            "psnr_pooled",
            "PSNR pooled",
            **DECIBELS,
            source="10 log10(255^2 / MSE), MSE over all frames",
            convention="rgb,peak 255,pooled error",
            description="Peak signal-to-noise ratio of the clip as one image",
        ),
        *specs(
            "psnr_wrapped_96",
            "PSNR wrapped 96",
            regions=("face",),
            **{**DECIBELS, "better": "none", "good": {"reference": NEVER, "truth": NEVER}},
            source="Sxjdwang/TalkLip, evaluation/visual_quality.py",
            convention="rgb,uint8 arithmetic that wraps,100 when equal,96x96",
            description="What uint8 arithmetic makes of the PSNR of the face at 96 x 96 px",
        ),
    )

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterator[Value]:
        for spec in self.metrics:
            name, against = _parts(spec)
            if against not in step.others:
                continue
            box, (one, smallest) = boxes[spec.region], _functions()[name]
            if box is None:
                yield spec.id, None
            elif min(box.size) < smallest:
                yield spec.id, f"unsupported: the {spec.region} region is smaller than the {smallest} px window"
            else:
                yield spec.id, one(box.cut(step.prediction), box.cut(step.others[against]))

    def mean(self, spec: MetricSpec, per_frame: NDArray[np.float64]) -> float:
        if _parts(spec)[0] != "psnr_pooled":
            return super().mean(spec, per_frame)
        # Per frame its PSNR is kept, which people read; the error behind it is pooled.
        measured = per_frame[~np.isnan(per_frame)]
        return psnr.psnr_of_error(float((255**2 / 10 ** (measured / 10)).mean())) if len(measured) else float("nan")


def _parts(spec: MetricSpec) -> tuple[str, str]:
    """Beginning of a metric's id, and what it compares with."""
    against = "truth" if "truth" in spec.needs else "reference"
    return spec.id.removesuffix(SUFFIX[against]).removesuffix(f"_{spec.region}"), against
