"""What the gate looks at unless a baseline says otherwise, and how much worse a number may get."""

from __future__ import annotations

#: Few on purpose: of 24 unchanged numbers one is "worse than tolerance" by chance in two runs out of three. Sync with
#: and without the sync model's forgiving shift, the shift itself, the mouth against the correct one, the image.
HEADLINES = ("lse_d", "lse_d_at_zero", "av_offset", "psnr_mouth_truth", "ssim_full", "lpips_full")

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
}

#: Costs of a cell as headlines: worse by a share of the baseline's median, comparable on the same machine class only.
COSTS = {"synthesize_s": ("Synthesis", "s", "wall_s"), "peak_rss_mb": ("Peak memory", "MiB", "peak_rss_mb")}
COST_TOLERANCE = 0.25

#: Metrics whose numbers belong to one sync model.
SYNC_METRICS = ("lse_", "av_offset")

#: What makes a run the baseline; errors say it.
ACCEPT = "lipbench gate RUN --baseline FILE --accept --reason TEXT"

ALPHA = 0.05
#: Below these the two-part rule alarms too often, or sees too little.
ENOUGH_CLIPS = 6
MANY_HEADLINES = 6


def tolerance(metric: str, own: float) -> float:
    """The worsening that passes; `own` is the metric's rerun tolerance, for metrics that TOLERANCES does not know."""
    fitting = [start for start in TOLERANCES if metric.startswith(start)]
    return max(own, TOLERANCES[max(fitting, key=len)] if fitting else 0.0)


def is_sync(metric: str) -> bool:
    """Whether a metric's numbers depend on the sync model."""
    return metric.startswith(SYNC_METRICS)
