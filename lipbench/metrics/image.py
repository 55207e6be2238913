"""PSNR and SSIM in three regions, against the source (reference) and against the truth, in one pass over the frames.

Against the source, as in the paper, a higher number says that the image was kept; the lips themselves are meant to
differ. Against the truth, which only generated clips have, it says that the right image was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.metric import MetricSpec, Pair, Score
from lipbench.metrics.frame_metric import FrameMetric, Value, against_of, specs
from lipbench.metrics.functional.psnr import frame_psnr, mean_psnr
from lipbench.metrics.pair_reader import SUFFIX, FrameStep, PairReader
from lipbench.metrics.regions import Box
from lipbench.metrics.remarks import WHAT
from lipbench.metrics.timing import Shift

#: What good values look like, by what a video is measured against.
GOOD_DECIBELS = {
    "reference": "high, but never alone: a picture that was not dubbed at all has no limit",
    "truth": "high: the correct video has no limit",
}
GOOD_SIMILARITY = {
    "reference": "near 1, but never alone: a picture that was not dubbed at all has 1",
    "truth": "near 1",
}


class ImageFamily(FrameMetric):
    """psnr_full, psnr_face, psnr_mouth, ssim_full, ssim_face, ssim_mouth, and the same with `_truth`.

    Frames that equal the reference have an infinite PSNR: they are left out of the mean and counted in
    `extra["exact_frames"]`; when all are equal the value is +inf.
    """

    id = "image"
    metrics = (
        *specs(
            "psnr",
            "PSNR",
            unit="dB",
            better="higher",
            tolerance=0.01,
            decimals=2,
            source="mean over frames of 10 log10(255^2 / MSE)",
            convention="rgb,peak 255,mean of per-frame",
            description="Peak signal-to-noise ratio of the image",
            # The paper's full frames, and the mouth, where methods differ.
            headlines=("psnr_full", "psnr_mouth", "psnr_mouth_truth"),
            good=GOOD_DECIBELS,
            published={"psnr_full": "14.2 to 30.1 dB, six methods on film dubs (LipNeRF paper, Table I)"},
        ),
        *specs(
            "ssim",
            "SSIM",
            unit="",
            better="higher",
            tolerance=1e-4,
            decimals=4,
            source="Wang et al., IEEE TIP 13(4), 2004",
            convention="rgb,gauss11s1.5,pop,valid",
            description="Structural similarity of the image, 1 when equal",
            headlines=("ssim_full", "ssim_mouth", "ssim_mouth_truth"),
            good=GOOD_SIMILARITY,
            published={"ssim_full": "0.25 to 0.89, six methods on film dubs (LipNeRF paper, Table I)"},
        ),
    )

    def measure(self, step: FrameStep, boxes: Mapping[str, Box | None], shared: Any, **options: Any) -> Iterator[Value]:
        from lipbench.metrics.functional.ssim import WINDOW, box_ssim  # needs numba, which a cached run does not

        # All regions' SSIM come from one pass over the frame: their windows are windows of the frame.
        large = {region: box for region, box in boxes.items() if box and min(box.size) >= WINDOW}
        for against, frame in step.others.items():
            ssim = dict(zip(large, box_ssim(step.prediction, frame, list(large.values())), strict=True))
            for region, box in boxes.items():
                end, small = (
                    f"_{region}{SUFFIX[against]}",
                    f"the {region} region is smaller than SSIM's {WINDOW} px window",
                )
                yield "psnr" + end, None if box is None else frame_psnr(box.cut(step.prediction), box.cut(frame))
                yield "ssim" + end, ssim.get(region, None if box is None else f"unsupported: {small}")

    def mean(self, spec: MetricSpec, per_frame: NDArray[np.float64]) -> float:
        return mean_psnr(per_frame) if spec.id.startswith("psnr") else super().mean(spec, per_frame)

    def at_shift(self, pair: Pair, against: str, shift: Shift) -> str:
        reader = PairReader(pair, {against: shift.frames}, pair.options.get("decoder", "exact"))
        psnr = [frame_psnr(step.prediction, step.others[against]) for step in reader if against in step.others]
        return f"psnr_full is then {mean_psnr(np.asarray(psnr)):.2f} dB" if psnr else ""

    def finish(self, spec: MetricSpec, score: Score) -> Score:
        return equal_frames_said(spec, score) if spec.id.startswith("psnr") else score


def equal_frames_said(spec: MetricSpec, score: Score) -> Score:
    """A score in dB with a remark on the frames that equal the other video's, and their number."""
    if score.value is None:
        return score
    exact, what = int(np.isposinf(np.asarray(score.per_frame)).sum()), WHAT[against_of(spec)]
    remark = f"{exact} of {score.n_valid} frames equal {what}; the mean is over the others" if exact else None
    if exact == score.n_valid:
        remark = f"all measured frames equal {what}"
    return replace(score, reason=remark, extra={**score.extra, "exact_frames": exact})
