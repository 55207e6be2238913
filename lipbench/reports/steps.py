"""Where a series changes its level: a piecewise constant fit with a price for every further piece."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

#: Runs on either side of a step: one odd run is not a step.
SHORTEST = 2


def steps(values: NDArray[np.float64], *, floor: float = 0.0) -> list[tuple[int, float, float]]:
    """(index, level before, level after) of every step in (n,) values; none for fewer than four.

    The least sum of squares plus `4 s^2 log(n)` per step (Yao, "Estimating the number of change-points via Schwarz'
    criterion", 1988, with a dearer step), by dynamic programming; the noise s is taken from the median absolute
    difference of neighbours, which steps hardly touch.

    Args:
        floor: least noise; runs of a deterministic method would otherwise make a step of every rounding.
    """
    n = len(values)
    if n < 2 * SHORTEST:
        return []
    noise = max(float(np.median(np.abs(np.diff(values)))) / (np.sqrt(2) * 0.6745), floor, 1e-12)
    price = 4 * noise**2 * np.log(n)
    total = np.concatenate([[0.0], np.cumsum(values)])
    square = np.concatenate([[0.0], np.cumsum(values**2)])

    def cost(i: int, j: int) -> float:
        """Sum of squares of values[i:j] around their mean."""
        return float(square[j] - square[i] - (total[j] - total[i]) ** 2 / (j - i))

    best, start = np.full(n + 1, np.inf), np.zeros(n + 1, int)
    best[0] = -price
    for j in range(SHORTEST, n + 1):
        for i in range(j - SHORTEST + 1):
            if np.isfinite(best[i]) and (candidate := best[i] + cost(i, j) + price) < best[j]:
                best[j], start[j] = candidate, i
    edges = [n]
    while edges[-1] > 0:
        edges.append(int(start[edges[-1]]))
    edges.reverse()
    levels = [float(values[i:j].mean()) for i, j in pairwise(edges)]
    return [(edge, old, new) for edge, old, new in zip(edges[1:-1], levels[:-1], levels[1:], strict=True)]
