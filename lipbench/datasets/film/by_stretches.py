"""An alignment from stretches of 20 s, for dubs whose waveforms do not match: good to some 20 ms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lipbench.datasets.film import evidence
from lipbench.datasets.film.alignment import Alignment, Piece, Pitch, refused, verdict_of
from lipbench.datasets.film.path import Step, runs
from lipbench.datasets.film.search import CLEAR, STRETCH_S, Stretch

#: Stretches that name offsets within this of the middle one agree, s. Those of a dub scatter by 2 ms, those that
#: follow the pauses of the dialogue by 40 and more.
AGREES = 0.005

#: What is said of the offset, ms: a change of speed at one pitch moves sounds by as much to and fro.
PRECISION_MS = 20.0


@dataclass(frozen=True)
class _Group:
    """Stretches of one offset: their middles, their offset, and the share that agrees."""

    middles: list[float]
    offset: float
    heard: float
    chance: float


def from_stretches(
    stretches: list[Stretch], coarse: float, rate: float, steps: list[Step], film_s: float, dub_s: float
) -> Alignment:
    """The alignment by stretches that do not overlap; refused where they do not prove one.

    Args:
        stretches: of the whole film, in order.
        coarse: the rate at which they were looked for.
        rate: that of the dub, the course's drift included.
        steps: the course.
        film_s: length of the film.
        dub_s: length of the dub.
    """
    groups = [group for run in runs(steps) if (group := _group(run, stretches, coarse, rate)) is not None]
    if not groups:
        clear = len(_witnesses(stretches, coarse, rate, 0.0, film_s))
        why = (
            f"too little music and effects in common: {clear} of {round(film_s / STRETCH_S)} stretches of 20 s are "
            "found in it, and they do not agree enough"
        )
        return refused(rate, why, film_s)
    half = STRETCH_S / 2
    pieces: list[Piece] = []
    for k, group in enumerate(groups):
        first, last = group.middles[0] - half, group.middles[-1] + half
        start, end = max(0.0, -group.offset / rate), min(film_s, (dub_s - group.offset) / rate)
        start_unsure, end_unsure = max(first - start, 0.0) + STRETCH_S, max(end - last, 0.0) + STRETCH_S
        if k:
            before = groups[k - 1].middles[-1] + half
            start, start_unsure = (before + first) / 2, abs(first - before) / 2 + STRETCH_S
            pieces[-1] = replace(pieces[-1], end=start, end_unsure=start_unsure)
        moments = tuple(group.middles)
        pieces.append(
            Piece(start, end, group.offset, group.heard, PRECISION_MS, start_unsure, end_unsure, moments=moments)
        )
    verdict, why = verdict_of(tuple(pieces))
    pitch: Pitch | None = None if abs(rate - 1) < 1e-9 else "kept"
    chance = min(group.chance for group in groups)
    return Alignment(rate, tuple(pieces), verdict, why, pitch, False, chance, False, film_s=film_s)


def _group(run: list[Step], stretches: list[Stretch], coarse: float, rate: float) -> _Group | None:
    """The witnesses of a part of the course; None where they do not prove its offset."""
    begin, end = run[0].middle, run[-1].middle
    witnesses = _witnesses(stretches, coarse, rate, begin, end)
    rough = float(np.median([s.offset for s in run]))
    near = [s for s in witnesses if abs(s.offset - rough) <= 4 * AGREES]
    if not near:
        return None
    offset = float(np.median([s.offset for s in near]))
    agree = [s for s in near if abs(s.offset - offset) <= AGREES]
    chance = evidence.log10_chance(len(agree), len(witnesses), evidence.STRETCH_BY_CHANCE)
    if chance > evidence.ACCEPTED:
        return None
    looked = max(round((end - begin) / STRETCH_S) + 1, len(agree))
    return _Group([s.middle for s in agree], offset, len(agree) / looked, chance)


def _witnesses(stretches: list[Stretch], coarse: float, rate: float, begin: float, end: float) -> list[Step]:
    """Stretches of a part of the film that are found clearly, wherever that is, and do not overlap."""
    out: list[Step] = []
    for s in stretches:
        if not begin <= s.middle <= end or not s.candidates or s.candidates[0].z < CLEAR:
            continue
        if not out or s.middle - out[-1].middle >= STRETCH_S - 1e-6:
            best = s.candidates[0]
            out.append(Step(s.middle, best.offset + (coarse - rate) * s.middle, best.z))
    return out
