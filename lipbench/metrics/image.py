"""PSNR and SSIM in three regions, against the source (reference) and against the truth, in one pass over the frames.

Against the source, as in the paper, a higher number says that the picture was kept; the lips themselves are meant to
differ. Against the truth, which only generated clips have, it says that the right picture was made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from lipbench.core.errors import MediaError
from lipbench.core.metric import MetricSpec, Pair, Score, none_for
from lipbench.metrics import regions as regions_module
from lipbench.metrics.pair_reader import AGAINST, SUFFIX, PairReader
from lipbench.metrics.series import Series
from lipbench.metrics.signal_to_noise import frame_psnr, mean_psnr

REGIONS = ("full", "face", "mouth")
WHAT = {"reference": "the undubbed source", "truth": "the correct video"}

#: The numbers of the default tables: the paper's full frames, and the mouth, where methods differ.
HEADLINES = frozenset(
    {"psnr_full", "psnr_mouth", "ssim_full", "ssim_mouth", "lpips_full", "psnr_mouth_truth", "ssim_mouth_truth"}
)


def specs(name: str, title: str, convention: Callable[[str], str], **fields: Any) -> list[MetricSpec]:
    """The six specs of an image metric: three regions, each against the reference and against the truth.

    `convention` tells the exact variant used in a region; `fields` are those that all six share.
    """
    made = []
    for against in AGAINST:
        for region in REGIONS:
            metric_id = f"{name}_{region}{SUFFIX[against]}"
            label = title if region == "full" else f"{title} {region}"
            made.append(
                MetricSpec(
                    id=metric_id,
                    version="1",
                    title=label + (" (truth)" if against == "truth" else ""),
                    needs=frozenset({against} if region == "full" else {against, "faces"}),
                    region=region,
                    convention=f"{name}[{convention(region)},{region},vs {WHAT[against]}]",
                    headline=metric_id in HEADLINES,
                    **fields,
                )
            )
    return made


class ImageFamily:
    """psnr_full, psnr_face, psnr_mouth, ssim_full, ssim_face, ssim_mouth, and the same with `_truth`.

    Frames that equal the reference have an infinite PSNR: they are left out of the mean and counted in
    `extra["exact_frames"]`; when all are equal the value is +inf.
    """

    id = "image"
    metrics: tuple[MetricSpec, ...] = (
        *specs(
            "psnr",
            "PSNR",
            lambda _: "rgb,peak 255,mean of per-frame",
            unit="dB",
            better="higher",
            tolerance=0.01,
            decimals=2,
            source="mean over frames of 10 log10(255^2 / MSE)",
        ),
        *specs(
            "ssim",
            "SSIM",
            lambda _: "rgb,gauss11s1.5,pop,valid",
            unit="",
            better="higher",
            tolerance=1e-4,
            decimals=4,
            source="Wang et al., IEEE TIP 13(4), 2004",
        ),
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"regions": regions_module.VERSION}

    def score(self, pair: Pair) -> Mapping[str, Score]:
        from lipbench.metrics.structural import WINDOW, box_ssim  # needs numba, which a cached run does not

        try:
            regions = regions_module.from_file(pair.faces, pair.faces_reason)
        except MediaError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        reader, series = PairReader(pair), Series()
        for step in reader:
            boxes = {region: regions.box(step.prediction, region, step.t) for region in REGIONS}
            # All regions' SSIM come from one pass over the frame: their windows are windows of the frame.
            large = {r: b for r, b in boxes.items() if b and min(b[2] - b[0], b[3] - b[1]) >= WINDOW}
            for against, frame in step.others.items():
                ssim = dict(zip(large, box_ssim(step.prediction, frame, list(large.values())), strict=True))
                for region, box in boxes.items():
                    psnr = None
                    if box is not None:
                        cut = np.s_[box[1] : box[3], box[0] : box[2]]
                        psnr = frame_psnr(step.prediction[cut], frame[cut])
                    series.add(against, "psnr", region, psnr)
                    series.add(against, "ssim", region, ssim.get(region))
        scores: dict[str, Score] = {}
        for against in AGAINST:
            for region in REGIONS:
                end = f"_{region}{SUFFIX[against]}"
                ratio = series.score(against, "psnr", region, reader, regions, mean=mean_psnr)
                scores["psnr" + end] = _exact_frames(ratio, WHAT[against])
                similarity = series.score(against, "ssim", region, reader, regions)
                scores["ssim" + end] = _small(similarity, ratio, region, WINDOW)
        return scores


def _exact_frames(psnr: Score, what: str) -> Score:
    if psnr.value is None or psnr.per_frame is None:
        return psnr
    exact = int(np.isposinf(psnr.per_frame).sum())
    remark = f"{exact} of {psnr.n_valid} frames equal {what}; the mean is over the others" if exact else None
    if exact == psnr.n_valid:
        remark = f"all measured frames equal {what}"
    return replace(psnr, reason=remark, extra={**psnr.extra, "exact_frames": exact})


def _small(ssim: Score, psnr: Score, region: str, window: int) -> Score:
    if ssim.value is None and psnr.value is not None:
        return replace(ssim, reason=f"unsupported: the {region} region is smaller than SSIM's {window} px window")
    return ssim
