"""Where one piece ends and the next begins, and how far that can be wrong.

Between the last sound that is surely the one piece's and the first that is surely the other's anything may have been
cut: what is printed as uncertain is all of that time, however likely a place within it is. A block of sound is a
piece's when it is far more like the dub at its offset than at the other one, measured by how like unrelated places are
in the same block: a held note, which is like itself a period later, decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.film.cells import CELL_S, Matcher
from lipbench.datasets.film.pieces import Run
from lipbench.datasets.film.tracks import RATE

#: Samples summed at once (10 ms), and how many of these make a block that has to decide (0.4 s).
STEP = RATE // 100
STEPS = 40

#: A block decides where the difference is this many times what chance makes of it.
DECIDES = 5.5

#: Lags of unrelated places, s, to either side of both offsets.
DECOYS = (0.0073, 0.0131, 0.0197, 0.0237, 0.0311, 0.0419, 0.0523)

#: What a block adds to the uncertainty by its own length, s.
MARGIN_S = 0.05


@dataclass(frozen=True)
class Edge:
    """A boundary in seconds of film at the dub's speed.

    Attributes:
        end: of the piece before.
        begin: of the piece after; later than `end` by film that the dub lacks.
        unsure: either may be off by as much, s.
    """

    end: float
    begin: float
    unsure: float


def edge(matcher: Matcher, before: Run, after: Run, slope: float, sign: int) -> Edge:
    """The boundary between two pieces that follow each other.

    Args:
        slope: the drift that their offsets leave out.
        sign: polarity of the dub.
    """
    start, stop = before.cells[-1].at, after.cells[0].at + CELL_S
    middle = (start + stop) / 2
    lags = [round((run.offset + slope * middle) * RATE) for run in (before, after)]
    first, last = round(start * RATE), round(stop * RATE)
    a, b = (sign * matcher.products(first, last, lag, STEP) for lag in lags)
    decides = _decisions(matcher, a, b, first, last, lags)
    low, high = _bracket(decides)
    n = len(a)
    skip = min(max(round((before.offset - after.offset) * RATE / STEP), 0), n)
    left, right = np.concatenate([[0], np.cumsum(a)]), np.concatenate([np.cumsum(b[::-1])[::-1], [0]])
    gain = left[: n + 1 - skip] + right[skip:]
    low, high = min(low, n - skip), max(high, low + skip)
    last_k = max(min(high - skip, n - skip), low)
    k = low + int(np.argmax(gain[low : last_k + 1]))
    unsure = max(k - low, high - skip - k, 0) * STEP / RATE + MARGIN_S
    return Edge(start + k * STEP / RATE, start + (k + skip) * STEP / RATE, unsure)


def _decisions(
    matcher: Matcher, a: NDArray[np.float64], b: NDArray[np.float64], first: int, last: int, lags: list[int]
) -> NDArray[np.float64]:
    """Of each block: how much more it is the one piece's (> 0) or the other's (< 0), over what chance gives."""
    block = np.ones(STEPS)
    difference = np.convolve(a - b, block, "valid")
    power = np.zeros(len(difference))
    for lag in lags:
        for decoy in DECOYS:
            for way in (-1, 1):
                there = matcher.products(first, last, lag + way * round(decoy * RATE), STEP)
                power += np.square(np.convolve(there, block, "valid"))
    # A block is two sums, and a quiet one must not decide by rounding: the mean of all keeps the scale up.
    one = power / (2 * len(DECOYS) * len(lags))
    scale = np.sqrt(2 * np.maximum(one, 0.25 * one.mean()))
    out: NDArray[np.float64] = difference / (scale + 1e-9)
    return out


def _bracket(decides: NDArray[np.float64]) -> tuple[int, int]:
    """(start of the last block of the one piece, end of the first block of the other one), in steps."""
    n = len(decides)
    ours, theirs = decides > DECIDES, decides < -DECIDES
    # The split that most blocks agree with: a stray one on the wrong side does not move it.
    score = np.concatenate([[0], np.cumsum(ours)]) + np.concatenate([np.cumsum(theirs[::-1])[::-1], [0]])
    split = int(np.argmax(score))
    before, after = np.flatnonzero(ours[:split]), np.flatnonzero(theirs[split:])
    low = int(before[-1]) if len(before) else 0
    high = split + int(after[0]) + STEPS if len(after) else n + STEPS
    return low, high
