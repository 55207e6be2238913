"""Where in a dub a stretch of the film is: correlation of features over all lags within reach."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from lipbench.datasets.film.features import FEATURE_RATE, features, stretched
from lipbench.datasets.film.tracks import Tape

#: Seconds of film that are looked for at a time, and how far apart they begin.
STRETCH_S, STEP_S = 20.0, 5.0

#: Candidates kept of each stretch, and how far apart they lie (features).
CANDIDATES, APART = 4, 8

#: Peaks of a stretch over the spread of its curve: unrelated films of one length reach 6.5 by chance.
CLEAR = 7.0

#: Shares of a stretch that must be sound, not silence, for it to be looked for.
ENOUGH = 0.3


@dataclass(frozen=True)
class Candidate:
    """A place where a stretch may lie: dub time = rate * film time + offset (s), and how clearly."""

    offset: float
    z: float


@dataclass(frozen=True)
class Stretch:
    """A stretch of film, from `start` on (s), and where it may lie; () where it is silent."""

    start: float
    candidates: tuple[Candidate, ...]

    @property
    def middle(self) -> float:
        return self.start + STRETCH_S / 2


class Searcher:
    """The features of a film and of a dub, for looking the one up in the other.

    Args:
        channels: pairs of channels that hold the same sounds (`tracks.pairs`).
        reach_s: how far from where the film is a dub is looked for.
    """

    def __init__(self, channels: list[tuple[Tape, Tape]], reach_s: float) -> None:
        film = [features(a) for a, _ in channels]
        dub = [features(b) for _, b in channels]
        self._film, self._dub = [f for f, _ in film], [d for d, _ in dub]
        self._heard = np.logical_or.reduce([heard for _, heard in film])
        self._dub_heard = np.logical_or.reduce([heard for _, heard in dub])
        self.reach = round(reach_s * FEATURE_RATE)
        self.film_s, self.dub_s = len(self._film[0]) / FEATURE_RATE, len(self._dub[0]) / FEATURE_RATE

    def starts(self, step_s: float) -> NDArray[np.float64]:
        """Where stretches begin, s; one at least."""
        return np.arange(0.0, max(self.film_s - STRETCH_S, 0.0) + 1e-6, step_s)

    def look(self, start: float, rate: float, offset: float = 0.0) -> Stretch:
        """The places of the dub, within reach of an offset, that are most like the film from `start` on."""
        i, m = round(start * FEATURE_RATE), round(STRETCH_S * FEATURE_RATE)
        if self._heard[i : i + m].mean() < ENOUGH:
            return Stretch(start, ())
        parts = [stretched(f[i : i + m], rate) for f in self._film]
        curve, first = self._curve(parts, round((rate * start + offset) * FEATURE_RATE))
        if len(curve) < 100:
            return Stretch(start, ())
        found = [
            Candidate((_summit(curve, k) + first) / FEATURE_RATE - rate * start, z)
            for k, z in peaks(curve, CANDIDATES, APART)
        ]
        return Stretch(start, tuple(found))

    def _curve(self, parts: list[NDArray[np.float32]], center: int) -> tuple[NDArray[np.float32], int]:
        """Likeness of parts of the film with the dub at each place, and the feature that value 0 stands for."""
        m, n = len(parts[0]), len(self._dub[0])
        low, high = max(center - self.reach, 0), min(center + self.reach, n - m // 2)
        if high <= low:
            return np.zeros(0, np.float32), 0
        stop = min(high + m, n)
        size = fft.next_fast_len(stop - low + m, True)
        total = np.zeros(size // 2 + 1, np.complex64)
        power, own = np.zeros(stop - low), 0.0
        for part, dub in zip(parts, self._dub, strict=True):
            there = dub[low:stop].astype(np.float32)
            total += np.einsum(
                "bf,bf->f",
                fft.rfft(np.ascontiguousarray(there.T), size, axis=1),
                fft.rfft(np.ascontiguousarray(part.T), size, axis=1).conj(),
            )
            power += np.square(there).sum(axis=1)
            own += float(np.square(part).sum())
        curve = fft.irfft(total, size)[: high - low]
        sums = np.concatenate([[0.0], np.cumsum(power)])
        at = np.arange(high - low)
        under = sums[np.minimum(at + m, len(power))] - sums[at]
        under = np.maximum(under, 0.25 * m * power.mean())
        return (curve / np.sqrt(own * under + 1e-9)).astype(np.float32), low


def peaks(curve: NDArray[np.float32], n: int, apart: int) -> list[tuple[int, float]]:
    """The n highest peaks as (index, z), z over the robust spread of the whole curve."""
    middle = np.median(curve)
    z = (curve - middle) / (1.4826 * np.median(np.abs(curve - middle)) + 1e-9)
    found = []
    for _ in range(n):
        k = int(np.argmax(z))
        if not np.isfinite(z[k]):
            break
        found.append((k, float(z[k])))
        z[max(k - apart, 0) : k + apart + 1] = -np.inf
    return found


def _summit(curve: NDArray[np.float32], k: int) -> float:
    """The top of the parabola through three values."""
    if 0 < k < len(curve) - 1:
        a, b, c = (float(v) for v in curve[k - 1 : k + 2])
        if a - 2 * b + c < 0:
            return k + 0.5 * (a - c) / (a - 2 * b + c)
    return float(k)
