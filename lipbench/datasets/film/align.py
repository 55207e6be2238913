"""A dub against its film, from the music and effects that both have.

1. The rate: stretches of 20 s are looked up in the dub at the known rates, else at free ones (`rates`).
2. The course of the offset over the film, from stretches every 10 s (`search`, `path`), and its drift.
3. Single sounds: cells of 2 s, waveforms whitened, at the lags that the course gives (`whiten`, `cells`).
4. Pieces: sounds in a row that name one offset to 0.3 ms (`pieces`); the drift is that of the sounds alone.
5. Edges, each with all the time in which it may lie (`edges`).
6. The verdict: how likely the evidence is by chance (`evidence`). Where no waveform matches (pitch kept), stretches
   that do not overlap are the witnesses, and the offset is good to some 20 ms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lipbench.datasets.film import evidence
from lipbench.datasets.film.alignment import Alignment, Piece
from lipbench.datasets.film.cells import CELL_S, Cell, Matcher
from lipbench.datasets.film.edges import MARGIN_S, edge
from lipbench.datasets.film.path import AGREES, Step, best_path, drift, runs
from lipbench.datasets.film.pieces import Run, sharp_runs, slope_of
from lipbench.datasets.film.rates import find_rate, rate_words, snapped
from lipbench.datasets.film.search import CLEAR, STEP_S, STRETCH_S, Searcher
from lipbench.datasets.film.tracks import Track, pairs
from lipbench.datasets.film.whiten import at_speed, whitened

#: How far from its place in the film a dub is looked for, s.
REACH_S = 120.0

#: A drift of the coarse course that is made part of the rate before waveforms are compared.
COARSE_DRIFT = 2e-5

#: A piece is carried over no more silence, speech and noise than this, s, or the verdict says so.
CARRY_S = 300.0

#: The verdict is carried as well where more of the pieces' time than this lies farther than NEAR_S from a sound.
CARRY_SHARE, NEAR_S = 0.5, 30.0

#: Cells of one recording are alike by this much and more, those of a dub only where nobody speaks.
SAME_RECORDING = 0.6


def align(film: Track, dub: Track, *, reach_s: float = REACH_S) -> Alignment:
    """Find a dub in its film.

    Args:
        film: the original's track.
        dub: the dub's.
        reach_s: how far from its place in the film a stretch of it is looked for.

    Raises:
        DiskFull: no room for the temporary files.
    """
    channels = pairs(film, dub)
    searcher = Searcher(channels, reach_s)
    coarse = find_rate(searcher)
    if coarse is None:
        return _refused(1.0, f"no music or effects in common: no part of the film is found within {reach_s:g} s", film)
    stretches = [searcher.look(float(start), coarse) for start in searcher.starts(STEP_S)]
    steps = best_path(stretches)
    if not steps:
        return _refused(coarse, "no music or effects in common: no stretch of 20 s is found clearly", film)
    rate, steps = _refined(coarse, steps)
    with tempfile.TemporaryDirectory(prefix="lipbench-align-") as folder:
        found = _Sounds(film, dub, rate, steps, Path(folder))
        try:
            result = _from_sounds(found, film, dub, reach_s) or _from_stretches(found, film, dub, stretches)
        finally:
            found.close()
    return replace(result, steps=tuple(steps), film_s=film.seconds)


def _refused(rate: float, why: str, film: Track) -> Alignment:
    return Alignment(rate, (), "refused", why, film_s=film.seconds)


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


class _Sounds:
    """Cells at the lags of a course, and the tapes they come from."""

    def __init__(self, film: Track, dub: Track, rate: float, steps: list[Step], folder: Path) -> None:
        self.rate, self.steps = rate, steps
        self._tapes = []
        white, plain = [], None
        for k, (a, b) in enumerate(pairs(film, dub)):
            played = a if rate == 1 else at_speed(a, rate, folder / f"film{k}")
            if played is not a:
                self._tapes.append(played)
            white.append((whitened(played, folder / f"fw{k}"), whitened(b, folder / f"dw{k}")))
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
        inside = np.flatnonzero(np.abs(middles - t) <= STRETCH_S / 2 + CELL_S)
        k = int(np.searchsorted(middles, t))
        near = {*inside.tolist(), max(k - 1, 0), min(k, len(steps) - 1)}
        out: list[float] = []
        for i in sorted(near):
            if all(abs(steps[i].offset - other) > 0.03 for other in out):
                out.append(steps[i].offset)
        return tuple(out)

    return lags


def _from_sounds(found: _Sounds, film: Track, dub: Track, reach_s: float) -> Alignment | None:
    """The alignment by single sounds; None where they do not prove one."""
    sharp = [cell for cell in found.cells if cell.sharp]
    spans = [(run[0].middle - STRETCH_S / 2, run[-1].middle + STRETCH_S / 2) for run in runs(found.steps)]
    slope, error = slope_of(sharp, [[a * found.rate, b * found.rate] for a, b in spans])
    if abs(slope) < 3 * error or not np.isfinite(error):
        slope = 0.0
    rate = snapped(found.rate * (1 + slope), error)
    slope = rate / found.rate - 1
    kept = sharp_runs(sharp, slope)
    agree, of = sum(len(r.cells) for r in kept), len(sharp)
    moments = [cell.at / found.rate for run in kept for cell in run.cells]
    chance = min((run.chance for run in kept), default=0.0)
    if chance > evidence.ACCEPTED or evidence.places(moments) < evidence.PLACES:
        return None
    sign = 1 if sum(cell.sign for run in kept for cell in run.cells) >= 0 else -1
    pieces = _pieces(found, kept, slope, sign, film, dub)
    likeness = [cell.likeness for cell in found.cells]
    if abs(rate - 1) < 1e-9 and float(np.percentile(likeness, 20)) > SAME_RECORDING:
        why = f"it says the same as the original ({np.median(likeness):.2f} in common): it is not a dub"
        return _refused(rate, why, film)
    pitch = None if abs(rate - 1) < 1e-9 else "moved"
    sounds = tuple((cell.at / found.rate, cell.lag - (rate / found.rate - 1) * cell.at) for cell in sharp)
    verdict, why = _verdict(pieces)
    del agree, of, reach_s
    return Alignment(rate, tuple(pieces), verdict, why, pitch, sign < 0, chance, True, sounds=sounds)


def _pieces(
    found: _Sounds, kept: list[Run], slope: float, sign: int, film: Track, dub: Track
) -> list[Piece]:
    """Runs as pieces of film with their edges."""
    rate = found.rate
    edges = [edge(found.matcher, a, b, slope, sign) for a, b in zip(kept[:-1], kept[1:], strict=True)]
    out = []
    for k, run in enumerate(kept):
        # At the ends nothing but the length of film and dub says where a piece stops.
        if k:
            start, start_unsure = edges[k - 1].begin, edges[k - 1].unsure
        else:
            start = max(0.0, -run.offset)
            start_unsure = max(run.cells[0].at - start, MARGIN_S)
        if k < len(edges):
            end, end_unsure = edges[k].end, edges[k].unsure
        else:
            end = min(film.seconds * rate, dub.seconds - run.offset)
            end_unsure = max(end - run.cells[-1].at - CELL_S, MARGIN_S)
        inside = [c for c in found.cells if start <= c.at and c.at + CELL_S <= end]
        heard = sum(_hears(c, run, slope) for c in inside) / max(len(inside), 1)
        precision = 1000 * max(run.scatter / np.sqrt(len(run.cells)), 2e-5)
        moments = tuple(c.at / rate for c in run.cells)
        out.append(
            Piece(start / rate, end / rate, run.offset, heard, precision, start_unsure / rate, end_unsure / rate)
        )
        out[-1] = replace(out[-1], moments=moments)
    return out


def _hears(cell: Cell, run: Run, slope: float) -> bool:
    """A cell whose best lag is its piece's has heard it, if less clearly than one that stands for itself."""
    return abs(cell.lag - slope * cell.at - run.offset) < 0.001 and cell.z > 4.5


def _verdict(pieces: list[Piece]) -> tuple[str, str]:
    """ok or carried, and why."""
    far, total, widest, where = 0.0, 0.0, 0.0, 0.0
    for piece in pieces:
        marks = [piece.start, *piece.moments, piece.end]
        total += piece.end - piece.start
        for k, (a, b) in enumerate(zip(marks[:-1], marks[1:], strict=True)):
            if b - a > widest:
                widest, where = b - a, a
            beside = (k > 0) + (k < len(marks) - 2)
            far += max(b - a - beside * NEAR_S, 0.0)
    if widest > CARRY_S:
        return "carried", f"nothing in common is heard for {widest:.0f} s from {where:.0f} s on"
    if far > CARRY_SHARE * total:
        return "carried", f"{far / total:.0%} of it lies more than {NEAR_S:g} s from a sound that both have"
    return "ok", ""


def _from_stretches(found: _Sounds, film: Track, dub: Track, stretches: list) -> Alignment:
    """The alignment by stretches of 20 s, for waveforms that do not match; refused where they do not prove one."""
    rate = found.rate
    looked = sum(1 for s in stretches if s.candidates)
    pieces, best = [], 0.0
    for run in runs(found.steps):
        apart = _apart(run)
        offset = float(np.median([s.offset for s in apart]))
        agree = [s for s in apart if abs(s.offset - offset) <= AGREES]
        # Stretches in its time that were looked for and not found are witnesses against it.
        of = max(round((run[-1].middle - run[0].middle) / STRETCH_S) + 1, len(apart))
        chance = evidence.log10_chance(len(agree), of, evidence.STRETCH_BY_CHANCE)
        best = min(best, chance)
        if chance > evidence.ACCEPTED:
            continue
        scatter = 1.4826 * float(np.median(np.abs([s.offset - offset for s in agree])))
        pieces.append((run, offset, len(agree) / of, scatter))
    if not pieces:
        sharp = sum(c.sharp for c in found.cells)
        why = f"too little music and effects in common: {sharp} sounds of {len(found.cells)} parts of 2 s stand out"
        clear = sum(s.z > CLEAR for s in found.steps)
        why += f" and do not agree, and {clear} of {looked} stretches of 20 s are found"
        return _refused(rate, why, film)
    out = []
    for k, (run, offset, heard, scatter) in enumerate(pieces):
        first, last = run[0].middle - STRETCH_S / 2, run[-1].middle + STRETCH_S / 2
        start = max(0.0, -offset / rate) if k == 0 else (first + out[-1].end) / 2
        end = min(film.seconds, (dub.seconds - offset) / rate)
        if k:
            before = pieces[k - 1][0][-1].middle + STRETCH_S / 2
            middle = (before + first) / 2
            unsure = max(abs(first - before) / 2, STRETCH_S)
            out[-1] = replace(out[-1], end=middle, end_unsure=unsure)
            start, start_unsure = middle, unsure
        else:
            start_unsure = max(first - start, 0.0) + STRETCH_S / 2
        end_unsure = max(end - last, 0.0) + STRETCH_S / 2
        moments = tuple(s.middle for s in run)
        precision = 1000 * max(scatter, AGREES)
        out.append(Piece(start, end, offset, heard, precision, start_unsure, end_unsure, False, moments))
    pitch = None if abs(rate - 1) < 1e-9 else "kept"
    verdict, why = _verdict(out)
    return Alignment(rate, tuple(out), verdict, why, pitch, False, best, False)


def _apart(run: list[Step]) -> list[Step]:
    """Stretches that do not overlap."""
    out: list[Step] = []
    for step in run:
        if not out or step.middle - out[-1].middle >= STRETCH_S - 1e-6:
            out.append(step)
    return out


@dataclass(frozen=True)
class _Unused:
    """"""


__all__ = ["REACH_S", "align", "rate_words"]
