"""What the public image functions accept: uint8 RGB frames, one or a clip of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError

Frame = NDArray[np.uint8]


def as_clips(prediction: Frame, reference: Frame) -> tuple[Frame, Frame]:
    """Both as (T, H, W, 3) uint8; a single frame becomes a clip of one.

    Raises:
        UsageError: other dtype, other shape, no frames, or the two differ in shape.
    """
    both = []
    for name, frames in (("prediction", prediction), ("reference", reference)):
        frames = np.asarray(frames)
        if frames.dtype != np.uint8:
            raise UsageError(
                f"{name} is {frames.dtype}, not uint8",
                "the scale of other types is anybody's guess",
                "pass RGB frames as decoded, 0 to 255 in uint8",
            )
        if frames.ndim == 3:
            frames = frames[None]
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise UsageError(
                f"{name} has shape {frames.shape}", "", "pass RGB frames of shape (H, W, 3) or (T, H, W, 3)"
            )
        both.append(frames)
    if both[0].shape != both[1].shape:
        raise UsageError(
            f"prediction and reference differ in shape: {both[0].shape} and {both[1].shape}",
            "they are compared pixel by pixel",
            "bring both to one size and one number of frames first",
        )
    return both[0], both[1]
