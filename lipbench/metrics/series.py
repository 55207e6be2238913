"""From per-frame numbers to a Score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.metric import Score
from lipbench.metrics.regions import NO_FACE

Mean = Callable[[NDArray[np.float64]], float]


def plain_mean(per_frame: NDArray[np.float64]) -> float:
    """Mean over the measured frames, NaN when there is none."""
    measured = per_frame[~np.isnan(per_frame)]
    return float(measured.mean()) if len(measured) else float("nan")


def from_frames(
    values: Sequence[float] | NDArray[np.float64], *, mean: Mean = plain_mean, extra: Mapping[str, Any] | None = None
) -> Score:
    """Score of (T,) per-frame values, NaN for frames that were not measured."""
    per_frame = np.asarray(values, np.float64)
    n_valid = int((~np.isnan(per_frame)).sum())
    if n_valid == 0:
        return Score(None, NO_FACE, per_frame, 0, len(per_frame), extra or {})
    return Score(mean(per_frame), None, per_frame, n_valid, len(per_frame), extra or {})
