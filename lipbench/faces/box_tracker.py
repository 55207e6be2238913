"""One face through a video from boxes per frame: continuity first, then the choice; a new shot begins anew."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.detect import Detector
from lipbench.faces.shots import ShotDetector
from lipbench.faces.track import Box
from lipbench.faces.which import CONTINUES, Which, choose

__all__ = ["BATCH", "CONTINUES", "choose", "follow"]

BATCH = 8


def follow(
    detector: Detector, frames: Iterable[NDArray[np.uint8]], which: Which | None = None
) -> tuple[list[Box | None], list[int], tuple[int, ...]]:
    """The main face of every frame (None where there is none), the number of faces in it, and the cuts."""
    main: list[Box | None] = []
    counts: list[int] = []
    last: NDArray[np.floating] | None = None
    shots = ShotDetector()
    stream = iter(frames)
    while batch := list(islice(stream, BATCH)):
        for frame, found in zip(batch, detector.detect(np.stack(batch)), strict=True):
            shots.push(frame)
            if shots.cuts[-1:] == (len(main),):
                last = None  # whoever stands there now is somebody else
            order = choose(found, last, which, (frame.shape[1], frame.shape[0]))
            best = order[0] if order else None
            if best is not None:
                last = np.asarray([best.x1, best.y1, best.x2, best.y2])
            main.append(best)
            counts.append(len(found))
    return main, counts, shots.cuts
