"""Whether a video runs frames ahead of what it is compared to, or behind: seen on thumbnails, never mended silently.

A frame lost or added at the start costs ten dB of PSNR and more, and the picture is the same. The shifts -REACH..REACH
are tried on the same frames of the prediction; one that is better by more than GAIN counts. Frames lost or added on the
way are found too, and only said: what they would give is not measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lipbench.core.errors import MediaError
from lipbench.core.metric import Options, Pair
from lipbench.media.thumbnails import Thumbnails, thumbnails

#: Frames.
REACH = 5
#: dB of the thumbnails' PSNR.
GAIN = 1.0
#: The same for a shift that sets in on the way, which has more ways to look better by chance; and the frames that there
#: have to be on both sides.
GAIN_ON_THE_WAY, FEWEST = 3.0, 5


class AlignOptions(Options):
    """Options of families that compare frames."""

    align: bool = Field(
        False,
        description="Compare every frame with the one that fits it where the video runs up to 5 frames ahead or "
        "behind; otherwise that is only remarked.",
    )


@dataclass(frozen=True)
class Shift:
    """Frame t of the prediction shows frame t + `frames` of the other.

    Attributes:
        frames: never 0; above it the prediction runs ahead: its first frames were lost.
        gain_db: how much better the thumbnails fit so; inf when they are equal.
        start: first frame of which that holds; before it there is no shift.
    """

    frames: int
    gain_db: float
    start: int = 0

    def words(self, what: str) -> str:
        """What to say of it; `what` the prediction is compared to."""
        n, way = abs(self.frames), "ahead of" if self.frames > 0 else "behind"
        since = f"from frame {self.start} on " if self.start else ""
        return f"{since}the video runs {n} frame{'s' if n > 1 else ''} {way} {what}"


def find(pair: Pair, name: str) -> Shift | None:
    """The shift between the prediction and the pair's "reference" or "truth"; None when there is none to be found."""
    other: Path | None = getattr(pair, name)
    if other is None or other == pair.prediction:
        return None
    try:
        mine, theirs = thumbnails(pair.prediction), thumbnails(other)
    except MediaError:
        return None  # the readers say so
    return _between(mine, theirs)


@lru_cache(4)  # one family after the other asks it of a pair
def _between(mine: Thumbnails, theirs: Thumbnails) -> Shift | None:
    return best_shift(mine.pictures, theirs.pictures)


def best_shift(mine: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> Shift | None:
    """The shift at which two series of pictures fit clearly better than as they are; None when there is none.

    Args:
        mine: (T, h, w) gray.
        theirs: (U, h, w) gray.
    """
    n = min(len(mine), len(theirs))
    reach = min(REACH, (n - 3) // 2)
    if mine.shape[1:] != theirs.shape[1:] or reach < 1:
        return None
    shifts = [0, *(sign * k for k in range(1, reach + 1) for sign in (1, -1))]
    errors = np.array([_errors(mine[reach : n - reach], theirs[reach + k : n - reach + k]) for k in shifts])
    means = errors.mean(axis=1)
    best = int(means.argmin())
    gain = gain_db(means[0], means[best])
    found = _on_the_way(errors, shifts, reach)
    if found is not None and found.gain_db > gain + GAIN_ON_THE_WAY:
        return found
    return Shift(shifts[best], gain) if best and gain > GAIN else None


def _on_the_way(errors: NDArray[np.float64], shifts: list[int], reach: int) -> Shift | None:
    """A shift that sets in on the way: frames lost or added in the middle.

    Args:
        errors: (K, N) of every shift and frame; the first shift is none.
        reach: the video's number of the first frame.
    """
    n = errors.shape[1]
    if n < 2 * FEWEST:
        return None
    before = np.concatenate([[0.0], errors[0].cumsum()])
    after = errors[:, ::-1].cumsum(axis=1)[:, ::-1]
    # total[k, c]: no shift in frames before c, shift k from c on
    totals = before[FEWEST : n - FEWEST + 1] + after[:, FEWEST : n - FEWEST + 1]
    best, at = np.unravel_index(int(totals.argmin()), totals.shape)
    gain = gain_db(errors[0].sum(), float(totals[best, at]))
    if best == 0 or gain <= GAIN_ON_THE_WAY:
        return None
    return Shift(shifts[best], gain, reach + FEWEST + int(at))


def _errors(mine: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(N,) mean squared error of each frame."""
    # A sum of whole numbers, whose order does not matter.
    sums = [cv2.norm(a, b, cv2.NORM_L2SQR) for a, b in zip(mine, theirs, strict=True)]
    return np.array(sums) / mine[0].size


def gain_db(before: float, after: float) -> float:
    """How many dB of PSNR lie between two mean squared errors."""
    if after == before:
        return 0.0
    return math.inf if after == 0 else 10 * math.log10(before / after)


def facts(shift: Shift | None, aligned: bool) -> dict[str, Any]:
    """What a record keeps of it."""
    if shift is None:
        return {}
    about = {"frames": shift.frames, "thumbnail_gain_db": shift.gain_db, "aligned": aligned}
    return {"shift": about | ({"start": shift.start} if shift.start else {})}
