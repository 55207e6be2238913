"""Cells -> one value per method, clip and metric -> means over clips.

The clip is the statistical unit: dubs of one language are averaged first, then languages, then seeds. A clip counts
only when every cell that the run asked for has a value; a mean over other languages or seeds would not be the same
quantity. A mean over clips exists only when every clip counts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

#: --by word -> column of the frame.
KEYS = {"clip": "clip", "lang": "language", "seconds": "train_seconds", "sound": "sound"}


@dataclass(frozen=True)
class Mean:
    """A mean over clips.

    Attributes:
        mean: None unless all `total` clips have a value; +inf possible.
        n: clips with a value.
        total: clips asked for.
        reasons: why `mean` is None, most frequent first.
        n_valid: frames (or windows) measured, summed over the cells with a value.
        n_total: frames (or windows) looked at, summed over the cells with a value.
    """

    mean: float | None
    n: int
    total: int
    reasons: tuple[str, ...] = ()
    n_valid: int = 0
    n_total: int = 0

    @property
    def reason(self) -> str | None:
        """The reasons as one line; None when there is a mean (and for published numbers)."""
        return "; ".join(self.reasons) or None


def clip_values(data: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """One row per method, key, clip and metric: value (NaN unless complete), reasons, n_valid, n_total, cells.

    Args:
        data: as `lipbench.reports.frame.frame` makes it.
        by: columns of the frame that are kept apart (language, train_seconds); clip always is.

    `cells` is how many cells the run asked for in that clip, by any method: a method that lacks some is incomplete.

    Raises:
        ValueError: several train lengths that `by` does not keep apart; their mean means nothing.
    """
    if "train_seconds" not in by and data["train_seconds"].nunique(dropna=False) > 1:
        raise ValueError("choose one train length first, or keep them apart")
    keys = list(dict.fromkeys([*by, "clip"]))
    group = ["method", *keys, "metric"]
    cell = [name for name in ("dub", "language", "seed") if name not in keys]
    wanted = data[[*keys, *cell]].drop_duplicates().groupby(keys, dropna=False).size().rename("cells").reset_index()
    has = data["value"].notna()
    steps = data[has]
    for step in ("dub", "language", "seed"):  # each averaged on its own
        cell = [name for name in cell if name != step]
        steps = steps.groupby([*group, *cell], dropna=False, sort=False)["value"].mean().reset_index()
    sums = (
        data.assign(
            have=has.astype(int),
            valid=data["n_valid"].where(has, 0),
            looked=data["n_total"].where(has, 0),
            why=data["reason"].where(~has),
        )
        .groupby(group, dropna=False, sort=False)
        .agg(have=("have", "sum"), n_valid=("valid", "sum"), n_total=("looked", "sum"), reasons=("why", _reasons))
        .reset_index()
    )
    result = sums.merge(steps[[*group, "value"]], on=group, how="left").merge(wanted, on=keys, how="left")
    result.loc[result["have"] < result["cells"], "value"] = float("nan")
    return result


def _reasons(texts: pd.Series) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts.dropna()))


def means(values: pd.DataFrame, by: Sequence[str] = ()) -> dict[tuple[object, ...], Mean]:
    """(method, *key values, metric) -> Mean over the clips of that key.

    Args:
        values: of `clip_values` with the same `by`; "clip" in `by` gives one-clip means.
    """
    clips = values[[*by, "clip"]].drop_duplicates()
    total: Counter[tuple[object, ...]] = Counter(_plain(row[:-1]) for row in clips.itertuples(index=False, name=None))
    result: dict[tuple[object, ...], Mean] = {}
    for key, part in values.groupby(["method", *by, "metric"], dropna=False, sort=False):
        names = _plain(key if isinstance(key, tuple) else (key,))
        result[names] = _mean(part, total[names[1:-1]])
    return result


def _plain(key: tuple[object, ...]) -> tuple[object, ...]:
    """NaN (the whole clip) as None, so that keys compare."""
    return tuple(None if isinstance(v, float) and math.isnan(v) else v for v in key)


def _mean(part: pd.DataFrame, total: int) -> Mean:
    good = part[part["value"].notna()]
    frames = (int(good["n_valid"].sum()), int(good["n_total"].sum()))
    if len(good) < total:
        return Mean(None, len(good), total, _why(part, total), *frames)
    infinite = set(good["value"][good["value"].abs() == math.inf])
    if len(infinite) > 1:
        return Mean(None, len(good), total, ("the clips' values are +inf and -inf",), *frames)
    return Mean(float(good["value"].mean()), len(good), total, (), *frames)


def _why(part: pd.DataFrame, total: int) -> tuple[str, ...]:
    """The reasons of the clips without a value, most frequent first; clips that the method does not have at all too."""
    bad = part[part["value"].isna()]
    count = Counter(" ".join(reason.split()) for reasons in bad["reasons"] for reason in reasons)
    texts = [text for text, _ in count.most_common()]
    if len(part) < total or any(not reasons for reasons in bad["reasons"]):
        texts.append("some cells are not in the run")
    return (*texts[:3], f"and {len(texts) - 3} more reasons") if len(texts) > 3 else tuple(texts)
