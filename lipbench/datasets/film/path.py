"""The course of a dub's offset over the film: one candidate of each stretch, or none, with few jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipbench.datasets.film.search import Stretch

#: An offset that changes less from one stretch to the next has drifted, s; what changes more has jumped.
DRIFT = 0.03

#: What a jump costs, in units of z: its being one, and each second of it.
JUMP, JUMP_A_SECOND = 12.0, 0.1

#: What a stretch earns that is not found: a little less than chance gives to the best of its places, for what a wrong
#: course costs is time alone, sounds decide, and a right one that is given up is lost.
NOT_FOUND = 4.5

#: Offsets within this of the course are in agreement with it, s.
AGREES = 0.02


@dataclass(frozen=True)
class Step:
    """A stretch of film that was found: its middle (s), its offset (s) and how clearly."""

    middle: float
    offset: float
    z: float


def best_path(stretches: list[Stretch]) -> list[Step]:
    """The stretches that were found, in order: the course with most evidence, less what its jumps cost."""
    # A state is a candidate, or "not found", which keeps the offset before it and earns what chance gives.
    held: list[tuple[float, float | None]] = [(0.0, None)]
    links: list[list[int]] = []
    for stretch in stretches:
        states: list[tuple[float, float | None]] = []
        link: list[int] = []
        for candidate in stretch.candidates:
            gains = [gain - _cost(candidate.offset, last) for gain, last in held]
            k = int(np.argmax(gains))
            states.append((gains[k] + candidate.z, candidate.offset))
            link.append(k)
        # Not finding a stretch: one state for each offset before, so that a jump is paid over a gap as well.
        for k, (gain, last) in enumerate(held):
            states.append((gain + NOT_FOUND, last))
            link.append(k)
        kept = _distinct(states)
        held, links = [states[k] for k in kept], [*links, [_code(link, stretch, k) for k in kept]]
    return _walk(stretches, held, links)


def _cost(offset: float, last: float | None) -> float:
    change = 0.0 if last is None else abs(offset - last)
    return JUMP + JUMP_A_SECOND * change if change > DRIFT else 0.0


def _distinct(states: list[tuple[float, float | None]], most: int = 12) -> list[int]:
    """The best states, one of those that go on from one offset."""
    kept: list[int] = []
    seen: set[float | None] = set()
    for k in sorted(range(len(states)), key=lambda k: -states[k][0]):
        if states[k][1] not in seen and len(kept) < most:
            kept.append(k)
            seen.add(states[k][1])
    return kept


def _code(link: list[int], stretch: Stretch, k: int) -> int:
    """The state before and the candidate taken as one number; the candidate 0 is "not found"."""
    taken = k + 1 if k < len(stretch.candidates) else 0
    return link[k] * 16 + taken


def _walk(stretches: list[Stretch], held: list[tuple[float, float | None]], links: list[list[int]]) -> list[Step]:
    at = int(np.argmax([gain for gain, _ in held]))
    found = []
    for stretch, link in zip(reversed(stretches), reversed(links), strict=True):
        at, taken = divmod(link[at], 16)
        if taken:
            candidate = stretch.candidates[taken - 1]
            found.append(Step(stretch.middle, candidate.offset, candidate.z))
    return found[::-1]


def runs(steps: list[Step]) -> list[list[Step]]:
    """Stretches between jumps."""
    out: list[list[Step]] = []
    for step in steps:
        if out and abs(step.offset - out[-1][-1].offset) <= DRIFT * max((step.middle - out[-1][-1].middle) / 10, 1):
            out[-1].append(step)
        else:
            out.append([step])
    return out


def drift(parts: list[tuple[np.ndarray, np.ndarray]], apart_s: float, floor: float) -> tuple[float, float]:
    """(slope, its error) that is common to several series of (times, offsets), by Theil and Sen's median of slopes.

    Args:
        apart_s: points that are nearer to each other say nothing of it.
        floor: the least error of an offset, s.
    """
    slopes, weights, times, rests = [], [], [], []
    for t, y in parts:
        if len(t) > 300:
            pick = np.linspace(0, len(t) - 1, 300).round().astype(int)
            t, y = t[pick], y[pick]
        dt, dy = t[None] - t[:, None], y[None] - y[:, None]
        far = dt > apart_s
        slopes.append(dy[far] / dt[far])
        weights.append(dt[far])
        times.append(t - t.mean())
    if not slopes or not sum(len(s) for s in slopes):
        return 0.0, np.inf
    slope = _weighted_median(np.concatenate(slopes), np.concatenate(weights))
    for (t, y), _ in zip(parts, times, strict=True):
        rest = y - slope * t
        rests.append(rest - np.median(rest))
    spread = float(np.sqrt(np.mean(np.concatenate([t**2 for t in times])))) * np.sqrt(sum(len(t) for t in times))
    noise = 1.4826 * float(np.median(np.abs(np.concatenate(rests)))) + floor
    return slope, 1.5 * noise / max(spread, 1e-9)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(sums, sums[-1] / 2)])
