"""What the gate looks at unless a baseline says otherwise, and how much worse a number may get."""

from __future__ import annotations

import math
from collections.abc import Iterable

#: Of a method whose correct videos are known. Sync with and without the sync model's forgiving shift, the shift itself,
#: the mouth against the correct one, the whole image.
HEADLINES_TRUTH = ("lse_d", "lse_d_at_zero", "av_offset", "psnr_mouth_truth", "ssim_full", "lpips_full")
#: Of a method on footage without correct videos: the mouth against the undubbed one. That is no measure of how right a
#: mouth is, but the same method on the same clips keeps it. (MLD against the source has no better and worse.)
HEADLINES = ("lse_d", "lse_d_at_zero", "av_offset", "psnr_mouth", "ssim_mouth", "lpips_mouth", "ssim_full")

#: The distance at no shift, and what stands for it where the source's own offset is known: the same, taken there.
AT_ZERO, AT_OWN = "lse_d_at_zero", ("lse_d_at_own", "sync_d")

#: Beginning of a metric id -> worsening of the mean over clips that passes, in the metric's unit. The longest fits.
TOLERANCES = {
    "lse_": 0.1,
    "av_offset": 1.0,
    "psnr_": 0.25,
    "ssim_": 0.005,
    "lpips_": 0.005,
    "mld": 0.25,
    "lve": 0.5,
    "mouth_opening": 0.02,
    "tde_": 0.1,
    "sync_d": 0.02,
}

#: Mean square error that nobody sees, in squared gray levels: one level everywhere. At high PSNR it is many dB: another
#: codec of the same quality moves 44 dB by more than 0.25.
UNSEEN_MSE = 1.0
#: It widens the tolerance of a PSNR to no more than this, dB.
WIDEST_PSNR = 2.0

#: Costs of a cell as headlines: worse by a share of the baseline's median, comparable on the same machine class only.
COSTS = {"synthesize_s": ("Synthesis", "s", "wall_s"), "peak_rss_mb": ("Peak memory", "MiB", "peak_rss_mb")}
COST_TOLERANCE = 0.25

#: Metrics whose numbers belong to one sync model.
SYNC_METRICS = ("lse_", "av_offset")
#: Metrics that look at lips and sound, by whatever sync model.
LIPS = (*SYNC_METRICS, "sync_d")
#: Metrics that are taken where the source's own audio lies.
AT_OFFSET = ("lse_d_at_own", "sync_d", "sync_gain")

#: What makes a run the baseline; errors say it.
ACCEPT = "lipbench gate RUN --baseline FILE --accept --reason TEXT"

ALPHA = 0.05
#: From here on the test is exact and sees what matters.
ENOUGH_CLIPS = 6
#: Tolerances beyond which a mean with every clip worse is a regression, whatever the number of clips.
DISASTER = 4
#: Tolerances, and times the median clip, beyond which one clip alone is a regression.
BROKEN_CLIP = 10
#: Tolerances that the median clip of a headline of noise moves by, in either direction.
NOISY = 2
#: Clips that the two rules above need to tell a clip from the others.
LONE_CLIPS = 4


def tolerance(metric: str, own: float, values: Iterable[float | None] = ()) -> float:
    """The worsening that passes.

    Args:
        own: the metric's rerun tolerance, for metrics that TOLERANCES does not know.
        values: of the baseline's clips; the higher a PSNR is, the more dB are an error that nobody sees.
    """
    fitting = [start for start in TOLERANCES if metric.startswith(start)]
    least = max(own, TOLERANCES[max(fitting, key=len)] if fitting else 0.0)
    if not metric.startswith("psnr_"):
        return least
    known = [v for v in values if v is not None and math.isfinite(v)]
    return max(least, min(unseen_db(sum(known) / len(known)), WIDEST_PSNR)) if known else least


def unseen_db(psnr: float) -> float:
    """By how many dB UNSEEN_MSE lowers a PSNR of 8-bit images."""
    return 10 * math.log10(1 + UNSEEN_MSE * 10 ** (psnr / 10) / 255**2)


def is_sync(metric: str) -> bool:
    """Whether a metric's numbers depend on the sync model."""
    return metric.startswith(SYNC_METRICS)
