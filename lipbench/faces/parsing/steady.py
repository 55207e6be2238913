"""Labels that do not flicker: probabilities are averaged over a few frames before the largest one is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray


def steady(votes: Iterable[NDArray[np.floating]], window: int) -> Iterator[NDArray[np.uint8]]:
    """Label maps from the labels' probabilities, frame by frame.

    The average is centered (no lag) and triangular; at the ends of the clip it is shorter. Only `window` frames are
    held.

    Args:
        votes: (H, W, n) per frame.
        window: odd number of frames; 1 takes every frame by itself.

    Yields:
        (H, W) uint8, as many as there were votes.
    """
    reach = window // 2
    held: deque[NDArray[np.floating]] = deque()
    weights = [reach + 1 - abs(k) for k in range(-reach, reach + 1)]
    first, out, source = 0, 0, iter(votes)
    ended = False
    while True:
        while not ended and first + len(held) <= out + reach:
            try:
                held.append(next(source))
            except StopIteration:
                ended = True
        if out >= first + len(held):
            return
        while first < out - reach:
            held.popleft()
            first += 1
        total = sum(weights[first + k - out + reach] * vote for k, vote in enumerate(held))
        yield largest(total)  # type: ignore[arg-type]
        out += 1


def largest(votes: NDArray[np.floating]) -> NDArray[np.uint8]:
    """(H, W, n) -> (H, W) uint8 number of the largest; numpy's argmax walks over short last axes very slowly."""
    best, label = votes[..., 0], np.zeros(votes.shape[:2], np.uint8)
    for k in range(1, votes.shape[2]):
        more = votes[..., k] > best
        label[more] = k
        best = np.maximum(best, votes[..., k])
    return label
