"""One test for several metrics over the same clips: the step-down max-T test with sign flips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.reports.statistics.hypotheses import Alternative

#: Up to so many clips all 2^n sign patterns are counted; beyond, FLIPS of them are drawn.
EXACT_JOINT_CLIPS = 13
FLIPS = 9_999


def joint_p(
    rows: Sequence[Mapping[str, float]], alternative: Alternative = "two-sided", *, seed: int = 0
) -> list[float]:
    """p-values of several rows of paired differences, corrected for their number, with their correlation used.

    Under the null hypothesis all differences of a clip could as well have had the other sign. The same signs are
    flipped in every row, so metrics that rise and fall together are corrected less than independent ones, and a row of
    noise takes almost nothing from a row that is certain: it would have to reach that row's t by chance. Step-down
    max-T of Westfall and Young (Resampling-Based Multiple Testing, 1993, section 2.6); with signs instead of
    permutations the error over all rows is held exactly for differences that are symmetric around 0.

    Args:
        rows: for each metric clip -> difference; rows may lack clips. Infinite differences count as ten times the
            largest finite one of their row.
        alternative: "greater" asks whether a mean is above 0.

    Returns:
        One p-value per row, in order: exact up to EXACT_JOINT_CLIPS clips, else (1 + hits) / (1 + FLIPS). A row without
        a clip, or without any difference, has 1.

    Raises:
        ValueError: a difference that is no number.
    """
    clips = sorted({clip for row in rows for clip in row})
    if not clips:
        return [1.0] * len(rows)
    table = np.array([[row.get(clip, 0.0) for clip in clips] for row in rows], np.float64)  # (rows, clips)
    if np.isnan(table).any():
        raise ValueError("joint_p needs numbers")
    table = np.array([_finite(row) for row in table])
    n = np.array([len(row) for row in rows], np.float64)
    exact = len(clips) <= EXACT_JOINT_CLIPS
    signs = _patterns(len(clips)) if exact else _drawn(len(clips), seed)  # first row: as measured
    t = _t(signs @ table.T, (table**2).sum(axis=1), n)  # (patterns, rows)
    if alternative == "two-sided":
        t = np.abs(t)
    order = np.argsort(-t[0], kind="stable")
    p, highest = [1.0] * len(rows), 0.0
    for rank, row in enumerate(order):
        top = t[:, order[rank:]].max(axis=1)
        bar = t[0, row] - 1e-9 * (1 + abs(t[0, row])) if np.isfinite(t[0, row]) else t[0, row]
        highest = max(highest, float((top >= bar).mean()))
        p[row] = highest if table[row].any() else 1.0
    return p


def _finite(row: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.abs(row[np.isfinite(row)])
    large = 10 * (known.max() if known.size and known.any() else 1.0)
    return np.clip(row, -large, large)


def _patterns(n: int) -> NDArray[np.float64]:
    """(2^n, n) of +-1, all +1 first."""
    return 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1).astype(np.float64)


def _drawn(n: int, seed: int) -> NDArray[np.float64]:
    signs = 2 * np.random.default_rng(seed).integers(0, 2, (FLIPS + 1, n)).astype(np.float64) - 1
    signs[0] = 1
    return signs


def _t(sums: NDArray[np.float64], squares: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Student's t of every pattern and row; flips leave the sum of squares as it is. Without spread it is infinite."""
    n = np.maximum(n, 1)
    mean = sums / n
    variance = squares / n - mean**2
    flat = variance <= 1e-12 * np.maximum(squares / n, 1e-300)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean * np.sqrt(np.maximum(n - 1, 1)) / np.sqrt(np.where(flat, 1.0, variance))
    return np.where(flat, np.where(mean > 1e-15, np.inf, np.where(mean < -1e-15, -np.inf, 0.0)), t)
