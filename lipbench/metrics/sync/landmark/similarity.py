"""From two rows of embeddings to the shift at which they fit, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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
        confidence: probability that the offset is right within a frame; low where mouth and audio may not belong
            together at all.
        low: end of the interval that holds it with a probability of 0.95 if they do, in frames.
        high: the other end.
        given: the probability that it is right within a frame if they do: what counts for a clip's own sound.
    """

    frames: int
    confidence: float
    low: int
    high: int
    given: float


def offset(probabilities: NDArray[np.floating]) -> Offset:
    """The likeliest offset, and the shortest interval around it with a mass of 0.95, if there is an offset at all."""
    best = int(np.argmax(probabilities))
    first = last = best
    while probabilities[first : last + 1].sum() < LEVEL and last - first + 1 < SHIFTS:
        before = probabilities[first - 1] if first > 0 else -1.0
        after = probabilities[last + 1] if last < SHIFTS - 1 else -1.0
        first, last = (first - 1, last) if before >= after else (first, last + 1)
    sure = float(min(probabilities[max(best - SAME, 0) : best + SAME + 1].sum(), 1.0))
    return Offset(VSHIFT - best, sure, VSHIFT - last, VSHIFT - first, sure)


def evidence(highest: Any, n: Any, given: Any) -> NDArray[np.float64]:
    """What an offset's credit rests on.

    Some shift fits best whatever is heard. The more frames, the less it fits by chance: for audio that says something
    else the highest mean similarity falls with the square root of their number, for a mouth's own it does not.

    Args:
        highest: mean similarity of the best shift, (K,) or one.
        n: frames behind it.
        given: probability that the shift is right, if any is.

    Returns:
        (K, 4) inputs of a logistic regression.
    """
    highest, given = np.atleast_1d(np.asarray(highest, np.float64)), np.clip(np.atleast_1d(given), 1e-3, 1 - 1e-3)
    length = np.sqrt(np.atleast_1d(n) / 40.0)
    return np.stack([np.ones_like(highest), length, highest * length, np.log(given / (1 - given))], 1)


def credited(found: Offset, means: NDArray[np.floating], n: int, credit: NDArray[np.floating]) -> Offset:
    """The offset with the confidence that it is right, be there one or not.

    Args:
        found: of `offset`.
        means: of `curve`.
        n: frames behind them.
        credit: (4,) weights of `evidence`, fitted to held-out speech of which half is heard with somebody else's audio.
    """
    logit = evidence(np.nanmax(means), n, found.given)[0] @ np.asarray(credit, np.float64)
    return replace(found, confidence=float(1 / (1 + np.exp(-np.clip(logit, -50, 50)))))
