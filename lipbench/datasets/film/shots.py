"""The shots of a film and what was measured in each, before anything is decided about people."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lipbench.datasets.film.shots_boundaries import Boundary
from lipbench.datasets.film.shots_constraints import Camera

Into = Literal["start", "cut", "dissolve", "fade"]


@dataclass(frozen=True)
class Span:
    """A shot between two boundaries; frames of transitions belong to none.

    Attributes:
        first: number of its first frame in the film.
        end: of the first frame after it.
        from_s: seconds after the film's first frame.
        to_s: where it ends.
        into: how it begins.
    """

    first: int
    end: int
    from_s: float
    to_s: float
    into: Into

    @property
    def seconds(self) -> float:
        return self.to_s - self.from_s


def spans(boundaries: Sequence[Boundary], starts: Sequence[float], end_s: float) -> list[Span]:
    """The shots between boundaries.

    Args:
        boundaries: in order.
        starts: when each frame is shown, seconds.
        end_s: of the last frame.
    """
    n, found = len(starts), []
    begins: list[tuple[int, Into]] = [(0, "start"), *((b.end, b.kind) for b in boundaries)]
    ends = [*(b.first for b in boundaries), n]
    times = [*starts, end_s]
    for (first, into), end in zip(begins, ends, strict=True):
        first, end = min(max(first, 0), n), min(end, n)
        if end > first:
            found.append(Span(first, end, times[first], times[end], into))
    return found


@dataclass(frozen=True)
class FaceFacts:
    """One face of a shot.

    Attributes:
        share: of the shot's frames that show it.
        height: median, from forehead to chin, px.
        yaw: degrees, 5th and 95th percentile; > 0 looks to the image's right. None if unknown.
        pitch: the same, > 0 looks up.
        speaking: share of the shot in which it speaks; None where that cannot be told.
        vector: what it looks like (`people.Embedding`), None where too little is seen.
        boxes: number of a still -> x1 y1 x2 y2, in parts of the image's size.
    """

    share: float
    height: float
    yaw: tuple[float, float] | None
    pitch: tuple[float, float] | None
    speaking: float | None
    vector: tuple[float, ...] | None
    boxes: dict[int, tuple[float, float, float, float]]


@dataclass(frozen=True)
class ShotFacts:
    """What was measured in a shot.

    Attributes:
        faces: the largest and longest seen first.
        at_once: pairs of faces that are seen in the same frame.
        alone: share of the frames that show one face and no other.
        most: faces at once.
        camera: whether it stands still.
        light_stops: how much the light changes; None if unknown.
        stills: JPEG pictures, in order: begin, middle, end.
    """

    span: Span
    faces: tuple[FaceFacts, ...]
    at_once: tuple[tuple[int, int], ...]
    alone: float
    most: int
    camera: Camera
    light_stops: float | None
    stills: tuple[bytes, ...]


def percentiles(values: Iterable[float]) -> tuple[float, float] | None:
    """5th and 95th percentile of those that are known."""
    known = np.asarray([v for v in values if np.isfinite(v)])
    return None if not len(known) else (float(np.percentile(known, 5)), float(np.percentile(known, 95)))
