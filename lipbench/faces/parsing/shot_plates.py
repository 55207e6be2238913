"""Clean plates of a clip of several shots: each shot has its own, gathered from its own frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing.plate import Plate, clean_plate
from lipbench.faces.parsing.types import Parsing


class ShotPlates(Plate):
    """What is behind the person, shot by shot. As a whole it is not static: cameras differ.

    Attributes:
        plates: of each shot, by the frames of that shot.
        shots: [first, end) of each in the clip.
    """

    def __init__(self, plates: Sequence[Plate], shots: Sequence[tuple[int, int]]) -> None:
        self.plates, self.shots = tuple(plates), tuple(shots)
        self.image = None
        lengths = [end - first for first, end in shots]
        self.seen = float(np.average([plate.seen for plate in plates], weights=lengths))
        self.notes = tuple(
            f"frames {first} to {end - 1}: {note}"
            for plate, (first, end) in zip(plates, shots, strict=True)
            for note in plate.notes
        )
        self._ends = np.asarray([end for _, end in shots])

    def shot_of(self, t: int) -> int:
        """The number of the shot that a frame of the clip is in."""
        return int(np.searchsorted(self._ends, t, side="right"))

    def frame(self, t: int) -> NDArray[np.uint8]:
        k = self.shot_of(t)
        return self.plates[k].frame(t - self.shots[k][0])


def shot_plates(frames: NDArray[np.uint8], parsing: Parsing, shots: Sequence[tuple[int, int]]) -> Plate:
    """The plate of a clip: `clean_plate` where it has one shot.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        parsing: of the same frames.
        shots: [first, end) of each shot; together they cover all frames.

    Raises:
        UsageError: as `clean_plate`.
    """
    if len(shots) < 2:
        return clean_plate(frames, parsing)
    parts = [clean_plate(frames[a:b], parsing.take(np.arange(a, b))) for a, b in shots]
    return ShotPlates(parts, shots)
