"""From per-frame numbers to a Score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.metric import Score
from lipbench.metrics.pair_reader import PairReader
from lipbench.metrics.regions import NO_FACE, Regions

Mean = Callable[[NDArray[np.float64]], float]


def plain_mean(per_frame: NDArray[np.float64]) -> float:
    """Mean over the measured frames, NaN when there is none."""
    measured = per_frame[~np.isnan(per_frame)]
    return float(measured.mean()) if len(measured) else float("nan")


class Series:
    """Values of one pass, per (what it is compared to, name of the number, region); None for a frame without one."""

    def __init__(self) -> None:
        self._values: defaultdict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, against: str, name: str, region: str, value: float | None) -> None:
        self._values[against, name, region].append(float("nan") if value is None else value)

    def score(
        self,
        against: str,
        name: str,
        region: str,
        reader: PairReader,
        regions: Regions,
        *,
        mean: Mean = plain_mean,
        extra: Mapping[str, Any] | None = None,
    ) -> Score:
        """The clip's score, after the pass: the refusal that applies, else the mean over the measured frames."""
        if against in reader.refusals:
            return Score(None, reader.refusals[against])
        n_frames = reader.compared(against)
        if refusal := regions.refusal(region, n_frames, reader.size):
            return Score(None, refusal, n_total=n_frames)
        return from_frames(
            self._values[against, name, region],
            mean=mean,
            extra={**reader.facts(against), **regions.facts(region), **(extra or {})},
        )


def from_frames(
    values: Sequence[float] | NDArray[np.float64], *, mean: Mean = plain_mean, extra: Mapping[str, Any] | None = None
) -> Score:
    """Score of (T,) per-frame values, NaN for frames that were not measured."""
    per_frame = np.asarray(values, np.float64)
    n_valid = int((~np.isnan(per_frame)).sum())
    if n_valid == 0:
        return Score(None, NO_FACE, per_frame, 0, len(per_frame), extra or {})
    return Score(mean(per_frame), None, per_frame, n_valid, len(per_frame), extra or {})
