"""Scores and details as records keep them: plain JSON without NaN."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core.metric import Score


def score_json(score: Score, version: str) -> dict[str, Any]:
    """A Score as records keep it; +inf becomes the string "inf"."""
    value: Any = score.value
    if value is not None:
        value = float(value)
        value = "inf" if value == np.inf else "-inf" if value == -np.inf else value
    return {
        "value": value,
        "reason": score.reason,
        "n_valid": score.n_valid,
        "n_total": score.n_total,
        "version": version,
        "extra": jsonable(score.extra),
    }


def jsonable(value: Any) -> Any:
    """Plain JSON from what metrics put into `extra` (numpy scalars and arrays, tuples, non-finite floats)."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if isinstance(value, np.ndarray):
        return jsonable(value.tolist())
    if isinstance(value, np.generic):
        return jsonable(value.item())
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    if isinstance(value, Path):
        return value.name
    return value
