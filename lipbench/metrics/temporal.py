"""Temporal difference error: does the mouth change from frame to frame as it should?

    tde(t) = mean over the mouth box of frame t, pixels and channels, of |(p[t+1] - p[t]) - (g[t+1] - g[t])|

in grey levels (0..255), p the prediction and g the reference or the truth. A still error (a colour cast, a soft mouth)
costs nothing, flicker does. Frame t holds the change to t + 1, so the last frame has none. Both frames are cut with
the box of frame t; where either has no face the change is not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import MediaError
from lipbench.core.metric import MetricSpec, Pair, Score, none_for
from lipbench.metrics import regions as regions_module
from lipbench.metrics.arrays import Frame
from lipbench.metrics.pair_reader import AGAINST, SUFFIX, PairReader
from lipbench.metrics.regions import Regions
from lipbench.metrics.series import Series


def _mouth_error(regions: Regions, prediction: Frame, reference: Frame, t: int) -> NDArray[np.int16] | None:
    """prediction - reference in the mouth box of frame t, signed; None where there is no box."""
    mine, theirs = (regions.cut(frame, "mouth", t) for frame in (prediction, reference))
    return None if mine is None or theirs is None else np.subtract(mine, theirs, dtype=np.int16)


class TemporalFamily:
    """tde_mouth against the reference, tde_mouth_truth against the truth."""

    id = "temporal"
    metrics: tuple[MetricSpec, ...] = tuple(
        MetricSpec(
            id="tde_mouth" + SUFFIX[against],
            version="1",
            title="TDE mouth" + (" (truth)" if against == "truth" else ""),
            unit="grey levels",
            better="lower",
            needs=frozenset({against, "faces"}),
            region="mouth",
            tolerance=0.01,
            decimals=3,
            source="mean |(p[t+1] - p[t]) - (g[t+1] - g[t])|, this toolkit's own definition",
            convention=f"tde[rgb,mean absolute,mouth box of t,vs {against}]",
            headline=False,
        )
        for against in AGAINST
    )

    def identity(self, options: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"regions": regions_module.VERSION}

    def score(self, pair: Pair) -> Mapping[str, Score]:
        try:
            regions = regions_module.from_file(pair.faces, pair.faces_reason)
        except MediaError as error:
            return none_for(self.metrics, f"{error.reason}: {error.one_line()}")
        reader, series = PairReader(pair), Series()
        before: dict[str, NDArray[np.int16]] = {}  # the error of the last frame, cut with its own box
        for step in reader:
            t = step.t
            for against, frame in step.others.items():
                last, signed = before.pop(against, None), _mouth_error(regions, step.prediction, frame, t)
                if t > 0:
                    change = None
                    now = _mouth_error(regions, step.prediction, frame, t - 1)
                    if last is not None and now is not None and signed is not None:
                        change = float(np.abs(now - last).mean())
                    series.add(against, "tde", "mouth", change)
                if signed is not None:
                    before[against] = signed
        return {
            "tde_mouth" + SUFFIX[against]: _changes(series.score(against, "tde", "mouth", reader, regions))
            for against in AGAINST
        }


def _changes(score: Score) -> Score:
    """Says what is missing when there is no change between two frames with a face, and makes per_frame (T,)."""
    if score.per_frame is None:
        return score
    reason = score.reason
    if score.value is None:
        reason = "too_short: no two frames in a row have a face"
    return replace(score, reason=reason, per_frame=np.append(score.per_frame, np.nan))
