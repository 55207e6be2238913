"""From two rows of embeddings to the shift at which they fit, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.metrics.sync.protocol import VSHIFT

SHIFTS = 2 * VSHIFT + 1
#: Frames that both sides must share at a shift for it to be considered.
FEWEST = 10
#: Frames around the best shift that count as the same offset.
SAME = 1
#: Mass of the interval of the offset.
LEVEL = 0.95


def similarities(mouth: NDArray[np.floating], sound: NDArray[np.floating]) -> NDArray[np.float32]:
    """(N, E) and (N, E) embeddings of the same frames -> (N, 31), NaN where there is no partner.

    Entry j of row t compares the mouth at t with the audio at t + j - 15, as the distances of SyncNet do.
    """
    n = min(len(mouth), len(sound))
    every = mouth[:n] @ sound[:n].T
    out = np.full((n, SHIFTS), np.nan, np.float32)
    for j in range(SHIFTS):
        shift = j - VSHIFT
        rows = np.arange(max(0, -shift), min(n, n - shift))
        out[rows, j] = every[rows, rows + shift]
    return out


def curve(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N, 31) similarities -> (31,) means over the frames that have a partner; NaN for shifts with fewer than 10."""
    there = np.isfinite(rows)
    count = there.sum(0)
    total = np.where(there, rows, 0).sum(0, dtype=np.float64)
    return np.where(count >= FEWEST, total / np.maximum(count, 1), np.nan)


def belief(means: NDArray[np.floating], n: int, certainty: NDArray[np.floating]) -> NDArray[np.float64]:
    """(31,) probability of each shift, 0 where unknown.

    Args:
        means: of `curve`.
        n: frames behind them.
        certainty: scale and exponent: the logits are scale * n ** exponent * means. Frames are not independent, so
            the exponent lies below 1; both are fitted to held-out speech, see `docs`.
    """
    logits = float(certainty[0]) * n ** float(certainty[1]) * np.asarray(means, np.float64)
    raised = np.exp(logits - np.nanmax(logits))
    known = np.nan_to_num(raised, nan=0.0)
    return np.asarray(known / known.sum())


@dataclass(frozen=True)
class Offset:
    """Where audio and image fit.

    Attributes:
        frames: by which the audio leads the image (negative: it lags), at 25 per second.
        confidence: probability that the offset is right within a frame, given that there is one.
        low: end of the interval that holds it with a probability of 0.95, in frames.
        high: the other end.
    """

    frames: int
    confidence: float
    low: int
    high: int


def offset(probabilities: NDArray[np.floating]) -> Offset:
    """The likeliest offset, and the shortest interval around it with a mass of 0.95."""
    best = int(np.argmax(probabilities))
    first = last = best
    while probabilities[first : last + 1].sum() < LEVEL and last - first + 1 < SHIFTS:
        before = probabilities[first - 1] if first > 0 else -1.0
        after = probabilities[last + 1] if last < SHIFTS - 1 else -1.0
        first, last = (first - 1, last) if before >= after else (first, last + 1)
    sure = probabilities[max(best - SAME, 0) : best + SAME + 1].sum()
    return Offset(VSHIFT - best, float(min(sure, 1.0)), VSHIFT - last, VSHIFT - first)
