"""Whether a video runs frames ahead of what it is compared to, or behind: seen on thumbnails, never mended silently.

A frame lost or added at the start costs ten dB of PSNR and more, and the picture is the same. The shifts -REACH..REACH
are tried on the same frames of the prediction; one that is better by more than GAIN counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from lipbench.core.errors import MediaError
from lipbench.core.metric import Options, Pair
from lipbench.media.thumbnails import thumbnails

#: Frames.
REACH = 5
#: dB of the thumbnails' PSNR.
GAIN = 1.0


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
    """

    frames: int
    gain_db: float

    def words(self, what: str) -> str:
        """What to say of it; `what` the prediction is compared to."""
        n, way = abs(self.frames), "ahead of" if self.frames > 0 else "behind"
        return f"the video runs {n} frame{'s' if n > 1 else ''} {way} {what}"


def find(pair: Pair, name: str) -> Shift | None:
    """The shift between the prediction and the pair's "reference" or "truth"; None when there is none to be found."""
    other: Path | None = getattr(pair, name)
    if other is None or other == pair.prediction:
        return None
    try:
        mine, theirs = thumbnails(pair.prediction).pictures, thumbnails(other).pictures
    except MediaError:
        return None  # the readers say so
    return best_shift(mine, theirs)


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
    middle = mine[reach : n - reach].astype(np.int16)
    errors = {k: _error(middle, theirs[reach + k : n - reach + k]) for k in range(-reach, reach + 1)}
    k = min(errors, key=lambda k: (errors[k], abs(k)))
    gain = gain_db(errors[0], errors[k])
    return Shift(k, gain) if k and gain > GAIN else None


def _error(mine: NDArray[np.int16], theirs: NDArray[np.uint8]) -> float:
    # Frame by frame: a minute of thumbnails at once is 100 MB.
    return float(np.mean([np.square(a - b, dtype=np.float32).mean() for a, b in zip(mine, theirs, strict=True)]))


def gain_db(before: float, after: float) -> float:
    """How many dB of PSNR lie between two mean squared errors."""
    if after == before:
        return 0.0
    return math.inf if after == 0 else 10 * math.log10(before / after)


def facts(shift: Shift | None, aligned: bool) -> dict[str, Any]:
    """What a record keeps of it."""
    if shift is None:
        return {}
    return {"shift": {"frames": shift.frames, "thumbnail_gain_db": shift.gain_db, "aligned": aligned}}
