"""An alignment from single sounds, to a fraction of a millisecond."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from lipbench.datasets.film import evidence
from lipbench.datasets.film.alignment import Alignment, Piece, Pitch, refused, verdict_of
from lipbench.datasets.film.cells import CELL_S, Cell, Matcher
from lipbench.datasets.film.edges import MARGIN_S, edge
from lipbench.datasets.film.path import AGREES, DRIFT, Step, runs
from lipbench.datasets.film.pieces import Run, sharp_runs, slope_of
from lipbench.datasets.film.rates import snapped
from lipbench.datasets.film.search import STRETCH_S
from lipbench.datasets.film.tracks import Tape, Track, pairs
from lipbench.datasets.film.whiten import at_speed, whitened

#: The mixes of one recording are alike by this much in all but a few of a hundred cells, those of a dub only where
#: nobody speaks.
SAME_RECORDING, SAME_BUT = 0.6, 5

#: At a rate off by more than this, sounds of another pitch are less alike than that (waveforms of one pitch: 0.4 and
#: more in the middle): what matches are clicks alone, which a change of speed at one pitch moves by some 10 ms.
PITCH_HEARD, SAME_PITCH = 0.004, 0.12

#: A cell whose peak lies within this of its piece's offset (s), and is so high, has heard it, if it proves nothing.
HEARD_S, HEARD = 0.001, 4.5

#: No offset is more exact than this, ms.
FINEST_MS = 0.02


class Sounds:
    """The cells of a film and a dub at the lags of a course, and the tapes they are read from.

    Args:
        rate: of the dub.
        steps: the course.
        folder: for the tapes.
    """

    def __init__(self, film: Track, dub: Track, rate: float, steps: list[Step], folder: Path) -> None:
        self.rate, self.steps = rate, steps
        self._tapes: list[Tape] = []
        white, plain = [], None
        for k, (a, b) in enumerate(pairs(film, dub)):
            played = a
            if rate != 1:
                played = at_speed(a, rate, folder / f"film{k}")
                self._tapes.append(played)
            white.append((whitened(played, folder / f"white-film{k}"), whitened(b, folder / f"white-dub{k}")))
            self._tapes.extend(white[-1])
            plain = plain or (played, b)
        assert plain is not None
        self.matcher = Matcher(white, plain)
        self.cells = list(self.matcher.cells(_expected(steps, rate)))

    def close(self) -> None:
        for tape in self._tapes:
            tape.close()


def _expected(steps: list[Step], rate: float) -> Callable[[float], tuple[float, ...]]:
    """Time of the film at the dub's speed -> the lags that the stretches around it name."""
    middles = np.array([s.middle for s in steps])

    def lags(at: float) -> tuple[float, ...]:
        t = at / rate
        first, last = np.searchsorted(middles, [t - STRETCH_S / 2 - CELL_S, t + STRETCH_S / 2 + CELL_S])
        k = int(np.searchsorted(middles, t))
        out: list[float] = []
        for i in sorted({*range(int(first), int(last)), max(k - 1, 0), min(k, len(steps) - 1)}):
            if all(abs(steps[i].offset - other) > DRIFT for other in out):
                out.append(steps[i].offset)
        return tuple(out)

    return lags


def from_sounds(found: Sounds, film_s: float, dub_s: float) -> Alignment | None:
    """The alignment by single sounds; None where they do not prove one."""
    sharp = [cell for cell in found.cells if cell.sharp]
    courses = [
        (np.array([s.middle * found.rate for s in run]), np.array([s.offset for s in run])) for run in runs(found.steps)
    ]
    slope, error = slope_of(sharp, courses)
    if not np.isfinite(error) or abs(slope) < 3 * error:
        slope = 0.0
    rate = snapped(found.rate * (1 + slope), error)
    slope = rate / found.rate - 1
    kept = [run for run in sharp_runs(sharp, slope) if _on_course(run, slope, found)]
    moments = [cell.at / found.rate for run in kept for cell in run.cells]
    chance = min((run.chance for run in kept), default=0.0)
    if chance > evidence.ACCEPTED or evidence.places(moments) < evidence.PLACES:
        return None
    heard = [cell for run in kept for cell in run.cells]
    if abs(rate - 1) > PITCH_HEARD and np.median([c.likeness for c in heard]) < SAME_PITCH:
        return None
    own = [cell.own for cell in found.cells]
    if abs(rate - 1) < 1e-6 and float(np.percentile(own, SAME_BUT)) > SAME_RECORDING:
        why = f"it says the same as the original ({np.median(own):.2f} in common): it is not a dub"
        return replace(refused(rate, why, film_s), chance=chance)
    sign = 1 if sum(cell.sign for cell in heard) >= 0 else -1
    pieces = _pieces(found, kept, slope, sign, film_s, dub_s)
    verdict, why = verdict_of(pieces)
    sounds = tuple((cell.at / found.rate, cell.lag - slope * cell.at) for cell in sharp)
    pitch: Pitch | None = None if abs(rate - 1) < 1e-9 else "moved"
    return Alignment(rate, pieces, verdict, why, pitch, sign < 0, chance, True, sounds=sounds, film_s=film_s)


def _on_course(run: Run, slope: float, found: Sounds) -> bool:
    """Whether a stretch of 20 s in a run's time names its offset, roughly: a beat that repeats has none."""
    begin = run.cells[0].at / found.rate - STRETCH_S / 2
    end = run.cells[-1].at / found.rate + STRETCH_S / 2
    return any(
        abs(step.offset - slope * step.middle * found.rate - run.offset) <= AGREES
        for step in found.steps
        if begin <= step.middle <= end
    )


def _pieces(found: Sounds, kept: list[Run], slope: float, sign: int, film_s: float, dub_s: float) -> tuple[Piece, ...]:
    """Runs as pieces of film with their edges."""
    rate = found.rate
    edges = [edge(found.matcher, a, b, slope, sign) for a, b in pairwise(kept)]
    out = []
    for k, run in enumerate(kept):
        # At the ends nothing but the length of film and dub says where a piece stops; an edit that was not heard may
        # lie within the first cell, or the last one.
        start = edges[k - 1].begin if k else max(0.0, -run.offset)
        start_unsure = edges[k - 1].unsure if k else max(run.cells[0].at + CELL_S - start, MARGIN_S)
        last = k == len(kept) - 1
        end = min(film_s * rate, dub_s - run.offset) if last else edges[k].end
        end_unsure = max(end - run.cells[-1].at, MARGIN_S) if last else edges[k].unsure
        inside = [c for c in found.cells if start <= c.at and c.at + CELL_S <= end]
        heard = sum(_hears(c, run, slope) for c in inside) / max(len(inside), 1)
        precision = max(1000 * run.scatter / float(np.sqrt(len(run.cells))), FINEST_MS)
        out.append(
            Piece(
                start / rate,
                end / rate,
                run.offset,
                heard,
                precision,
                start_unsure / rate,
                end_unsure / rate,
                moments=tuple(c.at / rate for c in run.cells),
            )
        )
    return tuple(out)


def _hears(cell: Cell, run: Run, slope: float) -> bool:
    return abs(cell.lag - slope * cell.at - run.offset) < HEARD_S and cell.z > HEARD
