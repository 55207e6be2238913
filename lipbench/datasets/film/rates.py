"""How fast a dub runs against its film."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.film.search import Searcher, Stretch

#: Seconds of dub a second of film, by the pictures a second that the film and the dub were made for.
KNOWN = {
    "1": 1.0,
    "24/25": 24 / 25,
    "25/24": 25 / 24,
    "24000/25025": 24000 / 25025,
    "25025/24000": 25025 / 24000,
    "1000/1001": 1000 / 1001,
    "1001/1000": 1001 / 1000,
}

#: Rates that differ by less are one rate to a stretch of 20 s; the difference shows in how the offset drifts.
GRID = 0.002

#: Free rates are looked for in this range.
LOWEST, HIGHEST = 0.92, 1.08

#: Stretches that are looked up at each rate, of the known ones and of the free ones.
PROBES, FREE_PROBES = 40, 10

#: A rate is found when its probes rise above chance by this much, all together; pairs without anything in common, but
#: for the places of their lines, reach 3.5.
FOUND = 5.0

#: Above this no free rate is looked for.
SURE = 25.0

#: What the best of all places of an unrelated stretch reaches at most, and what any place of it does.
CHANCE, USUAL = 6.5, 3.5

#: Offsets of stretches that differ by less name one; and how much drift is allowed for, s.
DRIFT, MOST_DRIFT = 0.03, 0.5

#: Rates are told apart by no less than this share: 1 / 1000000 is 4 ms in an hour.
SNAP = 4e-6


def probes(searcher: Searcher, n: int) -> NDArray[np.float64]:
    """Beginnings of at most n stretches, evenly over the film."""
    starts = searcher.starts(20.0)
    return starts[np.unique(np.linspace(0, len(starts) - 1, min(n, len(starts))).round().astype(int))]


def find_rate(searcher: Searcher) -> float | None:
    """The rate, to half of GRID, at which most of the film is found; None where none is."""
    coarse = [rate for rate in KNOWN.values() if rate == 1 or abs(rate - 1) > GRID]
    best, rate = max((_found(searcher, rate, PROBES), rate) for rate in coarse)
    if best >= SURE:
        return _climbed(searcher, rate)
    free = np.arange(LOWEST, HIGHEST + 1e-9, GRID)
    _, other = max((_found(searcher, float(r), FREE_PROBES), float(r)) for r in free)
    best, rate = max((best, rate), (_found(searcher, other, PROBES), other))
    return _climbed(searcher, rate) if best >= FOUND else None


def _climbed(searcher: Searcher, rate: float) -> float:
    """The rate on the grid around a found one at which most is found."""
    here = _found(searcher, rate, FREE_PROBES)
    for way in (GRID, -GRID):
        while (there := _found(searcher, rate + way, FREE_PROBES)) > 1.05 * here:
            rate, here = rate + way, there
    return rate


def _found(searcher: Searcher, rate: float, n: int) -> float:
    """How much more than chance the places of n stretches give at a rate: those that name one offset, by whatever
    little each stands out, and the others by what chance never gives.
    """
    stretches = [searcher.look(float(start), rate) for start in probes(searcher, n)]
    points = [(s.middle, c) for s in stretches for c in s.candidates[:2]]
    best = 0.0
    for middle, anchor in points:
        total = 0.0
        for s in stretches:
            near = DRIFT + min(GRID / 2 * abs(s.middle - middle), MOST_DRIFT)
            here = max((c.z for c in s.candidates if abs(c.offset - anchor.offset) <= near), default=0.0)
            total += max(here - USUAL, _top(s) - CHANCE, 0.0)
        best = max(best, total - max(anchor.z - USUAL, 0.0) / 2)
    return best


def _top(stretch: Stretch) -> float:
    return max((c.z for c in stretch.candidates), default=0.0)


def snapped(rate: float, error: float) -> float:
    """A known rate where `rate` is one within its error, which is at least SNAP."""
    nearest = min(KNOWN.values(), key=lambda known: abs(known - rate))
    return nearest if abs(nearest - rate) <= max(min(3 * error, 1e-4), SNAP) else rate


def rate_words(rate: float, moved: bool | None) -> str:
    """A rate for people: "1", "24/25 (PAL speed, pitch moved)", "1.01000 (free, pitch kept)"."""
    name = next((name for name, value in KNOWN.items() if abs(value - rate) < 1e-9), None)
    if name == "1":
        return "as fast as the film"
    kind = "PAL speed" if name in ("24/25", "24000/25025") else "slowed from PAL" if name and "25" in name else ""
    pitch = "" if moved is None else "pitch moved" if moved else "pitch kept"
    words = ", ".join(word for word in (kind, pitch) if word)
    shown = name or f"{rate:.6f}"
    return f"rate {shown}" + (f" ({words})" if words else "")
