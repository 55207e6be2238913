"""Where the source's own head sticks out from under the rendered one, and what belongs there."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing import Label
from lipbench.faces.raster.nearest import nearest_pixels

Mask = NDArray[np.bool_]
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_DISC = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


def uncovered(head: Mask, matte: NDArray[np.float32], threshold: float) -> Mask:
    """Source head pixels (h, w) that the matte leaves open, without slivers one pixel wide.

    Slivers run along every outline and are what feathering is for; treated as gaps they would flicker.
    """
    open_ = (head & (matte < threshold)).astype(np.uint8)
    core = cv2.erode(open_, _CROSS)
    grown: Mask = (cv2.dilate(core, _DISC) == 1) & (open_ == 1)
    return grown


def hole(gap: Mask, matte: NDArray[np.float32]) -> Mask:
    """The gap with the rim of mixed pixels around it: the old head's edge bleeds a little over its mask."""
    grown: Mask = (cv2.dilate(gap.astype(np.uint8), _DISC) == 1) & (matte < 0.995)
    return grown


def behind(labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(h, w) label of what most likely lies behind the source's head: that of the nearest pixel that is not head."""
    head = labels == Label.HEAD
    if not head.any():
        return labels
    if head.all():
        return np.full_like(labels, Label.BACKGROUND)
    _, number, place = nearest_pixels(~head)
    return labels.reshape(-1)[place][number]


def weight(now: Mask, others: list[Mask]) -> NDArray[np.float32]:
    """(h, w) how much of the fill shows: all of it in the hole, a share where neighboring frames have theirs.

    A hole that opens and closes from frame to frame would blink; averaged over three frames it fades.
    """
    shares = [now, *others]
    mean = sum(m.astype(np.float32) for m in shares) / len(shares)
    soft = cv2.GaussianBlur(np.maximum(mean, now), (0, 0), 0.8)  # type: ignore[call-overload]
    return np.maximum(soft, now).astype(np.float32)
