"""Pieces of one offset out of single witnesses, and the drift that all of them share."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.film.cells import Cell
from lipbench.datasets.film.evidence import PIECE, SOUND_BY_CHANCE, log10_chance
from lipbench.datasets.film.path import AGREES, drift
from lipbench.datasets.film.search import STRETCH_S

#: Sounds that name offsets within this of each other name one, s; pieces differ by more.
SAME, APART = 0.0003, 0.001

#: Sounds that a piece needs, and the share of those heard within it that have to agree.
FEWEST, MAJORITY = 4, 0.6

#: Sounds in a row that name another offset before a piece is ended by them.
IN_A_ROW = 4


@dataclass
class Run:
    """Witnesses in a row, in order of time, that name one offset.

    Attributes:
        offset: s, without the drift.
        cells: the witnesses.
        of: how many were heard in its time, those that name others included.
        scatter: of the witnesses, s.
    """

    offset: float
    cells: list[Cell] = field(default_factory=list)
    of: int = 0
    scatter: float = 0.0

    @property
    def chance(self) -> float:
        return log10_chance(len(self.cells), self.of, SOUND_BY_CHANCE)


def slope_of(cells: list[Cell], courses: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> tuple[float, float]:
    """The drift (and its error) of sounds heard, within spans of time that coarse stretches put together.

    A span reaches over the edits at its ends: what is heard there at another offset is not of its course.

    Args:
        cells: sharp ones.
        courses: times and offsets (s) of the stretches of each span.
    """
    parts = []
    for times, offsets in courses:
        begin, end = times[0] - STRETCH_S / 2, times[-1] + STRETCH_S / 2
        near = [cell for cell in cells if begin <= cell.at < end]
        inside = [cell for cell in near if abs(cell.lag - np.interp(cell.at, times, offsets)) <= AGREES]
        if len(inside) >= FEWEST:
            parts.append((np.array([c.at for c in inside]), np.array([c.lag for c in inside])))
    return drift(parts, 20.0, 1e-5)


def sharp_runs(cells: list[Cell], slope: float) -> list[Run]:
    """Pieces out of sharp cells.

    Args:
        cells: all sharp ones, in order of time.
        slope: their common drift.
    """
    if len(cells) < FEWEST:
        return []
    at = np.array([cell.at for cell in cells])
    rest = np.array([cell.lag for cell in cells]) - slope * at
    labels = _clusters(rest)
    out: list[Run] = []
    for begin, end, label in _stretches(labels):
        inside = [k for k in range(begin, end) if labels[k] == label]
        offset = float(np.median(rest[inside]))
        near = [k for k in inside if abs(rest[k] - offset) <= SAME]
        offset = float(np.median(rest[near])) if near else offset
        run = Run(offset, [cells[k] for k in near], end - begin, _spread(rest[near]))
        if len(near) >= max(FEWEST, MAJORITY * run.of) and run.chance <= PIECE:
            out.append(run)
    return _joined(out)


def _clusters(rest: NDArray[np.float64]) -> NDArray[np.int64]:
    """A number for each value: of the group, without gaps wider than SAME, that it is in; -1 for groups too small."""
    order = np.argsort(rest)
    group = np.concatenate([[0], np.cumsum(np.diff(rest[order]) > SAME)])
    labels = np.empty(len(rest), np.int64)
    labels[order] = group
    sizes = np.bincount(labels)
    return np.where(sizes[labels] >= FEWEST, labels, -1)


def _stretches(labels: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """(begin, end, label): where one label goes on until IN_A_ROW of another come before it comes again."""
    out: list[tuple[int, int, int]] = []
    for label in sorted(set(labels.tolist()) - {-1}):
        held: list[int] = []
        others: dict[int, int] = {}
        for k in np.flatnonzero(labels == label).tolist():
            if held:
                between = labels[held[-1] + 1 : k]
                others = {int(v): int((between == v).sum()) for v in set(between.tolist()) - {-1}}
            if held and max(others.values(), default=0) >= IN_A_ROW:
                out.append((held[0], held[-1] + 1, label))
                held = []
            held.append(k)
        out.append((held[0], held[-1] + 1, label))
    return sorted(out)


def _spread(values: NDArray[np.float64]) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if len(values) else 0.0


def _joined(runs: list[Run]) -> list[Run]:
    """Runs that do not overlap, the one with more witnesses kept, and neighbors of one offset made one."""
    kept: list[Run] = []
    for run in sorted(runs, key=lambda r: -len(r.cells)):
        begin, end = run.cells[0].at, run.cells[-1].at
        if all(end < other.cells[0].at or begin > other.cells[-1].at for other in kept):
            kept.append(run)
    out: list[Run] = []
    for run in sorted(kept, key=lambda r: r.cells[0].at):
        if out and abs(out[-1].offset - run.offset) < APART:
            last = out[-1]
            weight = len(last.cells) / (len(last.cells) + len(run.cells))
            offset = weight * last.offset + (1 - weight) * run.offset
            out[-1] = Run(offset, last.cells + run.cells, last.of + run.of, max(last.scatter, run.scatter))
        else:
            out.append(run)
    return out
