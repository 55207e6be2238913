"""Neck and shoulders under the head, gathered from the frames that show them.

A chin that drops, a head that turns or nods: over a clip much of what lies behind the head's lower edge is seen in some
frame. All frames are moved to one of them by the motion of neck and shoulders; each pixel is the median of the frames
that show neck there, and another image the median of those that show clothing (one for both would put collars on
necks wherever labels waver). What no frame shows is continued from there. In a frame the images are moved back and
brought to that frame's light at the hole's border.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing import Label, Parsing
from lipbench.faces.parsing.align import ImageMotion
from lipbench.lipnerf.composite.gap import behind
from lipbench.lipnerf.composite.inpaint import Frame, Mask, around, match, telea

SAMPLES = 40  # frames that donate
PARTS = (Label.NECK, Label.TORSO)


class TemporalInpainter:
    """See the module.

    Args:
        frames: (T, H, W, 3) uint8 RGB of the clip.
        parsing: their labels.

    Attributes:
        seen: part -> share of the region under the head in which some frame showed it.
    """

    name = "temporal"

    def __init__(self, frames: Frame, parsing: Parsing) -> None:
        self.frames, self.parsing = frames, parsing
        self.motion = ImageMotion(frames, lambda t: np.isin(parsing.labels[t], PARTS))
        self.reference = len(frames) // 2
        self.fade = 0.03 * float(np.sqrt(parsing.head_pixels() / max(len(frames), 1))) + 1
        self._moves: dict[int, NDArray[np.float64]] = {}
        self.region = self._region()
        self.images: dict[Label, Frame] = {}
        self.seen: dict[Label, float] = {}
        for part, (image, known) in self._gather().items():
            self.seen[part] = float(known.mean())
            self.images[part] = telea(image, ~known, known)

    def _region(self) -> tuple[slice, slice]:
        """Rows and columns where a lower edge of the head may be in any frame; empty without a head."""
        height, width = self.parsing.labels.shape[1:]
        union: Mask = np.zeros((height, width), np.bool_)
        for labels in self.parsing.labels:
            union |= labels == Label.HEAD
        if not union.any():
            return slice(0, 0), slice(0, 0)
        rows, columns = np.flatnonzero(union.any(1)), np.flatnonzero(union.any(0))
        margin = (rows[-1] - rows[0]) // 8 + 4
        return (
            slice(int((rows[0] + rows[-1]) // 2), int(min(rows[-1] + margin, height))),
            slice(int(max(columns[0] - margin, 0)), int(min(columns[-1] + margin, width))),
        )

    def _gather(self) -> dict[Label, tuple[Frame, Mask]]:
        """For each part that is seen: its median (h, w, 3) in the reference frame's place, and where it is known."""
        rows, columns = self.region
        size = (columns.stop - columns.start, rows.stop - rows.start)
        if min(size) == 0:
            return {}
        offset = np.array([[0, 0, columns.start], [0, 0, rows.start]], np.float64)
        sample = sorted({int(t) for t in np.linspace(0, len(self.frames) - 1, min(SAMPLES, len(self.frames)))})
        values = np.empty((len(sample), size[1], size[0], 3), np.uint8)
        shown = np.empty((len(sample), size[1], size[0]), np.uint8)
        for k, t in enumerate(sample):
            matrix = self.motion.between(t, self.reference) - offset
            values[k] = cv2.warpAffine(self.frames[t], matrix, size, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[assignment]
            labels = np.zeros_like(self.parsing.labels[t])
            for part in PARTS:
                # Two pixels inside: the rim holds colors of what is beside it.
                mask = (self.parsing.labels[t] == part).astype(np.uint8)
                labels[cv2.erode(mask, np.ones((5, 5), np.uint8), borderValue=1) == 1] = part
            shown[k] = cv2.warpAffine(labels, matrix, size, flags=cv2.INTER_NEAREST)  # type: ignore[assignment]
        found = {part: _median(values, shown == part) for part in PARTS}
        image, known = found[Label.NECK]
        found[Label.NECK] = image, known & _usual(image, known)
        return {part: (image, known) for part, (image, known) in found.items() if known.any()}

    def _move(self, s: int) -> NDArray[np.float64]:
        if s not in self._moves:
            self._moves[s] = np.asarray(cv2.invertAffineTransform(self.motion.between(s, self.reference)), np.float64)
        return self._moves[s]

    def fill(self, s: int, image: Frame, hole: Mask, trusted: Mask) -> Frame:
        """See `Inpainter.fill`."""
        window = around(hole, 16)
        if window is None:
            return image
        out = image.copy()
        labels = behind(self.parsing.labels[s][window])
        part_of = np.where(labels == Label.TORSO, Label.TORSO, Label.NECK)
        for part in PARTS:
            mine = hole[window] & (part_of == part)
            if not mine.any():
                continue
            clear = trusted[window] & (self.parsing.labels[s][window] == part)
            if part in self.images:
                donor = self._donor(s, part, window, mine.shape)
                out[window] = match(donor, out[window], mine, clear, self.fade)
            else:
                out[window] = telea(out[window], mine, clear if clear.any() else trusted[window])
        return out

    def _donor(self, s: int, part: Label, window: tuple[slice, slice], size: tuple[int, ...]) -> NDArray[np.float32]:
        """(h, w, 3) float32 the gathered image of a part where it is in frame s."""
        rows, columns = window
        # region -> reference frame -> frame s -> window
        matrix = self._move(s).copy()
        matrix[:, 2] += matrix[:, 0] * self.region[1].start + matrix[:, 1] * self.region[0].start
        matrix[:, 2] -= (columns.start, rows.start)
        moved = cv2.warpAffine(self.images[part], matrix, (size[1], size[0]), borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(moved, np.float32)


def _usual(image: Frame, known: Mask) -> Mask:
    """(h, w) where an image of skin (h, w, 3) has a color that most of it has: hair in a neck's shadow stands out."""
    if not known.any():
        return known
    colors = image.astype(np.float32)
    middle = np.median(colors[known], 0)
    away = np.abs(colors - middle).max(-1)
    usual: Mask = away < 3 * float(np.median(away[known])) + 25
    return usual


def _median(values: Frame, shown: Mask) -> tuple[Frame, Mask]:
    """(N, h, w, 3) and where each of them counts (N, h, w) -> their median, and where at least two count."""
    count = shown.sum(0)
    known: Mask = count >= min(2, len(values))
    image = np.zeros(values.shape[1:], np.uint8)
    picked = values[:, known].astype(np.uint16)  # (N, P, 3)
    picked[~shown[:, known]] = 256  # sorted behind all colors
    picked.sort(0)
    middle = np.maximum((count[known] - 1) // 2, 0)
    image[known] = np.take_along_axis(picked, middle[None, :, None], 0)[0].astype(np.uint8)
    return image, known
