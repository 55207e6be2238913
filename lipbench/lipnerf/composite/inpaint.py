"""Fillers of the gap behind one interface."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing import Label
from lipbench.faces.parsing.fill import smooth_fill

Frame = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Inpainter(Protocol):
    """Makes up pixels that the source hides.

    Attributes:
        name: for reports.
    """

    name: str

    def fill(self, s: int, image: Frame, hole: Mask, trusted: Mask) -> Frame:
        """The image with its hole filled.

        Args:
            s: number of the source frame.
            image: (H, W, 3) uint8 RGB, the source frame with the rendered head over it.
            hole: (H, W) bool, what to make up: neck and shoulders.
            trusted: (H, W) bool, pixels that show neck or shoulders of this frame.

        Returns:
            (H, W, 3) uint8; only pixels in the hole are used.
        """


class TeleaInpainter:
    """The frame alone: fast marching from trusted pixels (Telea 2004), smooth where it would have to go far."""

    name = "telea"

    def fill(self, s: int, image: Frame, hole: Mask, trusted: Mask) -> Frame:
        """See `Inpainter.fill`."""
        window = around(hole, 24)
        if window is None:
            return image
        out = image.copy()
        out[window] = telea(image[window], hole[window], trusted[window])
        return out


def telea(image: Frame, hole: Mask, trusted: Mask, far: float = 10.0) -> Frame:
    """Fill a hole (h, w) from trusted pixels: Telea's marching up to `far` px from them, blended into a smooth fill."""
    if not trusted.any():
        return image
    smooth = smooth_fill(image.astype(np.float32), trusted)
    # What is neither hole nor trusted (the new chin) must not bleed into the neck: it counts as hole for the march.
    marched = cv2.inpaint(image, (~trusted).astype(np.uint8), 4, cv2.INPAINT_TELEA)
    distance = cv2.distanceTransform((~trusted).astype(np.uint8), cv2.DIST_L2, 3)
    share = np.clip(2 - distance / far, 0, 1)[..., None]
    filled = np.clip(share * marched + (1 - share) * smooth + 0.5, 0, 255).astype(np.uint8)
    return over(image, filled, hole)


def around(mask: Mask, margin: int) -> tuple[slice, slice] | None:
    """Rows and columns of a mask (H, W) with a margin; None when it is empty."""
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + 1 + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + 1 + margin),
    )


def match(
    candidate: NDArray[np.float32], image: Frame, hole: Mask, trusted: Mask, fade: float, limit: float = 40.0
) -> Frame:
    """Pixels of another image, brought to the light of this one: the difference at the hole's border is continued
    smoothly across it (a membrane, Perez et al., "Poisson Image Editing", 2003).

    Args:
        candidate: (h, w, 3) float32 in 0..255, aligned with `image`.
        fade: px from the border over which the difference dies away. It is there for the seam; farther in, the other
            image knows better: the old chin's shadow on the neck must not be carried up to the new one.
        limit: difference, in levels, above which a border pixel shows something else and is left out.
    """
    difference = image.astype(np.float32) - candidate
    ring = (cv2.dilate(hole.astype(np.uint8), np.ones((13, 13), np.uint8)) == 1) & trusted & ~hole
    near = np.abs(difference) < limit
    ring &= near[..., 0] & near[..., 1] & near[..., 2]
    if ring.any():
        distance = cv2.distanceTransform((~ring).astype(np.uint8), cv2.DIST_L2, 3)
        candidate = candidate + smooth_fill(difference, ring) * np.exp(-distance / fade)[..., None]
    filled = np.clip(candidate + 0.5, 0, 255).astype(np.uint8)
    return over(image, filled, hole)


def over(image: Frame, other: Frame, mask: Mask) -> Frame:
    """An image (h, w, 3) with the pixels of another in a mask (h, w): chosen by OpenCV, in a tenth of numpy's time."""
    return np.asarray(cv2.copyTo(other, mask.view(np.uint8), image.copy()), np.uint8)


def body(labels: NDArray[np.uint8]) -> Mask:
    """(H, W) where neck or shoulders show."""
    found: Mask = (labels == Label.NECK) | (labels == Label.TORSO)
    return found
