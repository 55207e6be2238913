"""One face through a video from boxes per frame: continuity first, then size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.boxes import overlaps
from lipbench.faces.detect import Detector
from lipbench.faces.track import Box

BATCH = 8
CONTINUES = 0.1  # a new detection that overlaps the last known box more than this is the same person


def choose(found: Sequence[Box], last: NDArray[np.floating] | None) -> list[Box]:
    """Detections in the order in which they are tried: the one that continues `last`, then the largest."""

    def rank(face: Box) -> tuple[float, float]:
        corners = np.asarray([[face.x1, face.y1, face.x2, face.y2]])
        near = 0.0 if last is None else float(overlaps(np.asarray(last, dtype=float), corners)[0])
        return (near if near > CONTINUES else 0.0, (face.x2 - face.x1) * (face.y2 - face.y1))

    return sorted(found, key=rank, reverse=True)


def follow(detector: Detector, frames: Iterable[NDArray[np.uint8]]) -> tuple[list[Box | None], list[int]]:
    """The main face of every frame (None where there is none) and the number of faces in it."""
    main: list[Box | None] = []
    counts: list[int] = []
    last: NDArray[np.floating] | None = None
    stream = iter(frames)
    while batch := list(islice(stream, BATCH)):
        for found in detector.detect(np.stack(batch)):
            best = choose(found, last)[0] if found else None
            if best is not None:
                last = np.asarray([best.x1, best.y1, best.x2, best.y2])
            main.append(best)
            counts.append(len(found))
    return main, counts
