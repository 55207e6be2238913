"""A dub against its film, from the music and effects that both have.

1. The rate: stretches of 20 s are looked up in the dub at the known rates, else at free ones (`rates`).
2. The course of the offset over the film, from stretches every 5 s (`search`, `path`), and its drift.
3. Single sounds: cells of 2 s, waveforms whitened, at the lags that the course gives (`whiten`, `cells`).
4. Pieces: sounds in a row that name one offset to 0.3 ms (`pieces`); the drift is that of the sounds alone.
5. Edges, each with all the time in which it may lie (`edges`).
6. The verdict: how likely the evidence is by chance (`evidence`). Where no waveform matches (pitch kept), stretches
   that do not overlap are the witnesses, and the offset is good to some 20 ms (`by_stretches`).
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from lipbench.datasets.film.alignment import Alignment, refused
from lipbench.datasets.film.by_sounds import Sounds, from_sounds
from lipbench.datasets.film.by_stretches import from_stretches
from lipbench.datasets.film.path import Step, best_path, drift, runs
from lipbench.datasets.film.rates import find_rate, snapped
from lipbench.datasets.film.search import STEP_S, Searcher
from lipbench.datasets.film.tracks import Track, pairs

#: How far from its place in the film a dub is looked for, s.
REACH_S = 120.0

#: A drift of the coarse course that is made part of the rate before waveforms are compared.
COARSE_DRIFT = 2e-5


def align(film: Track, dub: Track, *, reach_s: float = REACH_S) -> Alignment:
    """Find a dub in its film.

    Args:
        film: the original's track.
        dub: the dub's.
        reach_s: how far from its place in the film a stretch of it is looked for.

    Raises:
        DiskFull: no room for the temporary files.
    """
    searcher = Searcher(pairs(film, dub), reach_s)
    coarse = find_rate(searcher)
    if coarse is None:
        why = f"no music or effects in common: no part of the film is found in it within {reach_s:g} s"
        return refused(1.0, why, film.seconds)
    stretches = [searcher.look(float(start), coarse) for start in searcher.starts(STEP_S)]
    del searcher  # its features are not needed any more
    steps = best_path(stretches)
    if not steps:
        why = "no music or effects in common: no stretch of 20 s of the film is found in it"
        return refused(coarse, why, film.seconds)
    rate, steps = _refined(coarse, steps)
    with tempfile.TemporaryDirectory(prefix="lipbench-align-") as folder:
        found = Sounds(film, dub, rate, steps, Path(folder))
        try:
            result = from_sounds(found, film.seconds, dub.seconds)
        finally:
            found.close()
    if result is None:
        result = from_stretches(stretches, coarse, rate, steps, film.seconds, dub.seconds)
    return replace(result, steps=tuple(steps))


def _refined(coarse: float, steps: list[Step]) -> tuple[float, list[Step]]:
    """The rate with the drift of the course in it, and the course against that rate."""
    series = [
        (np.array([s.middle for s in run]), np.array([s.offset for s in run])) for run in runs(steps) if len(run) >= 3
    ]
    slope, error = drift(series, 30.0, 0.001)
    if abs(slope) < max(3 * error, COARSE_DRIFT):
        slope = 0.0
    rate = snapped(coarse + slope, error)
    return rate, [replace(s, offset=s.offset + (coarse - rate) * s.middle) for s in steps]
