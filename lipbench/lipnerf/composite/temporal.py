"""Neck and shoulders under the head, gathered from the frames that show them.

A chin that drops, a head that turns or nods: over a clip most of what lies behind the head's lower edge is seen in some
frame. All frames are moved to one of them by the motion of neck and shoulders; each pixel is the median of the frames
in which it is no head. What no frame shows is continued from there. In a frame the result is moved back and brought to
that frame's light at the hole's border.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing import Label, Parsing
from lipbench.faces.parsing.align import Motion
from lipbench.lipnerf.composite.inpaint import Frame, Mask, around, body, match, telea

SAMPLES = 40  # frames that donate


class TemporalInpainter:
    """See the module.

    Args:
        frames: (T, H, W, 3) uint8 RGB of the clip. parsing: their labels.

    Attributes:
        seen: share of the pixels below the head's middle that some frame showed.
    """

    name = "temporal"

    def __init__(self, frames: Frame, parsing: Parsing) -> None:
        self.frames, self.parsing = frames, parsing
        self.motion = Motion(frames, parsing.mask(Label.NECK, Label.TORSO))
        self.reference = len(frames) // 2
        self._moves: dict[int, NDArray[np.float64]] = {}
        self.fade = 0.03 * float(np.sqrt(parsing.head.sum() / len(frames))) + 1
        self.region = self._region()
        self.image, known = self._gather()
        self.seen = float(known.mean()) if known.size else 0.0
        self.usable = bool(known.any())
        if self.usable:
            self.image = telea(self.image, ~known, known)

    def _region(self) -> tuple[slice, slice]:
        """Rows and columns where a lower edge of the head may be in any frame."""
        height, width = self.parsing.labels.shape[1:]
        head = self.parsing.head
        union: Mask = np.asarray(head.any(0))
        if not union.any():
            return slice(0, 0), slice(0, 0)
        rows = np.flatnonzero(union.any(1))
        columns = np.flatnonzero(union.any(0))
        margin = (rows[-1] - rows[0]) // 8 + 4
        middle = (rows[0] + rows[-1]) // 2
        return (
            slice(int(middle), int(min(rows[-1] + margin, height))),
            slice(int(max(columns[0] - margin, 0)), int(min(columns[-1] + margin, width))),
        )

    def _gather(self) -> tuple[Frame, Mask]:
        """(h, w, 3) uint8 median of neck and shoulders in the reference frame's place, (h, w) where it is known."""
        rows, columns = self.region
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if min(size) == 0:
            return np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.bool_)
        offset = np.array([[0, 0, columns.start], [0, 0, rows.start]], np.float64)
        sample = sorted({int(t) for t in np.linspace(0, len(self.frames) - 1, min(SAMPLES, len(self.frames)))})
        values = np.empty((len(sample), size[1], size[0], 3), np.uint8)
        shown = np.empty((len(sample), size[1], size[0]), np.bool_)
        for k, t in enumerate(sample):
            matrix = self.motion.between(t, self.reference) - offset
            # Two pixels inside neck and shoulders: their rim holds colours of what is beside it.
            inner = cv2.erode(body(self.parsing.labels[t]).astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1)
            values[k] = cv2.warpAffine(self.frames[t], matrix, size, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
            shown[k] = cv2.warpAffine(inner, matrix, size, flags=cv2.INTER_NEAREST) == 1
        count = shown.sum(0)
        known = count >= min(2, len(sample))
        image = np.zeros((size[1], size[0], 3), np.uint8)
        picked = values[:, known].astype(np.uint16)  # (N, P, 3)
        picked[~shown[:, known]] = 256  # sorted behind all colours
        picked.sort(0)
        middle = np.maximum((count[known] - 1) // 2, 0)
        image[known] = np.take_along_axis(picked, middle[None, :, None], 0)[0].astype(np.uint8)
        return image, known

    def _move(self, s: int) -> NDArray[np.float64]:
        if s not in self._moves:
            self._moves[s] = np.asarray(cv2.invertAffineTransform(self.motion.between(s, self.reference)), np.float64)
        return self._moves[s]

    def fill(self, s: int, image: Frame, hole: Mask, trusted: Mask) -> Frame:
        """See `Inpainter.fill`."""
        window = around(hole, 16)
        if window is None:
            return image
        if not self.usable:
            out = image.copy()
            out[window] = telea(image[window], hole[window], trusted[window])
            return out
        rows, columns = window
        height, width = hole[window].shape
        # region -> reference frame -> frame s -> window
        matrix = self._move(s).copy()
        matrix[:, 2] += matrix[:, 0] * self.region[1].start + matrix[:, 1] * self.region[0].start
        matrix[:, 2] -= (columns.start, rows.start)
        donor = cv2.warpAffine(self.image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        out = image.copy()
        out[window] = match(donor.astype(np.float32), image[window], hole[window], trusted[window], self.fade)
        return out
