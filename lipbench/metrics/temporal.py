"""Temporal difference error: does the mouth change from frame to frame as it should?

Frame t holds the change to t + 1, so the last frame has none. Both frames are cut with the box of frame t; where either
has no face the change is not measured.
"""

from __future__ import annotations

from typing import Any

from lipbench.metrics.arrays import Frame
from lipbench.metrics.frame_metric import FrameMetric, specs
from lipbench.metrics.functional.temporal import change_error
from lipbench.metrics.regions import Box


class TemporalFamily(FrameMetric):
    """tde_mouth against the reference, tde_mouth_truth against the truth."""

    id = "temporal"
    span = 2
    metrics = specs(
        "tde",
        "TDE",
        regions=("mouth",),
        unit="grey levels",
        better="lower",
        tolerance=0.01,
        decimals=3,
        source="mean |(p[t+1] - p[t]) - (g[t+1] - g[t])|, this toolkit's own definition",
        convention="rgb,mean absolute,box of t",
        description="Error of the change from frame to frame: flicker costs, a still error does not",
        good={"reference": "low: the picture is as steady as the source", "truth": "near 0"},
    )

    def frame(self, prediction: Frame, reference: Frame, box: Box, *args: Any, **options: Any) -> float:
        return change_error(box.cut(prediction), box.cut(reference))
