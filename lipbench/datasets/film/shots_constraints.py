"""What the paper asks of a scene, measured in a shot: does the camera stand still, does the light change?

Measured on small gray pictures, outside of where people are. A soft dark background says nothing: that is said, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.datasets.film.shots_faces import ShotFace

Camera = Literal["static", "moves", "cannot tell"]
Image = NDArray[np.uint8]

WIDTH, HEIGHT = 160, 90
#: Pictures kept of a shot; of longer ones every second, fourth, ... is.
MOST = 400
#: A correlation peak below this is none; a shot with more such pictures than this share cannot be told.
RESPONSE, LOST = 0.05, 0.3
#: The camera stands still when nine tenths of the pictures lie within this share of the width of the first.
STANDS = 0.04
#: A person reaches this far around the face: to both sides, above and below, in widths and heights of the face.
ASIDE, ABOVE = 1.1, 0.6
#: Less of the picture than this beside people says nothing.
LEAST_SEEN = 0.15
#: Luma steps that are noise, added before levels are compared.
NOISE = 4.0


@dataclass
class ShotPictures:
    """Small gray pictures of a shot, and some of its frames in full, gathered while the frames pass by.

    Args:
        wanted: numbers of the frames to keep in full.

    Attributes:
        luma: number of a frame -> (90, 160) uint8.
        stills: number of a frame -> the frame.
        size: width and height of the frames, px.
    """

    wanted: frozenset[int]
    luma: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    stills: dict[int, Image] = field(default_factory=dict)
    size: tuple[int, int] = (0, 0)
    _step: int = 1

    def watch(self, frames: Iterable[Image]) -> Iterator[Image]:
        """The frames as they come."""
        for n, frame in enumerate(frames):
            self.size = (frame.shape[1], frame.shape[0])
            if n in self.wanted:
                self.stills[n] = frame.copy()
            if n % self._step == 0:
                gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
                self.luma[n] = np.asarray(cv2.resize(gray, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
                if len(self.luma) > MOST:
                    self._step *= 2
                    self.luma = {t: picture for t, picture in self.luma.items() if t % self._step == 0}
            yield frame


def background(faces: Iterable[ShotFace], size: tuple[int, int]) -> NDArray[np.bool_]:
    """(90, 160) where no person is in any frame of a shot.

    Args:
        faces: of the shot.
        size: of its frames, px.
    """
    seen = np.ones((HEIGHT, WIDTH), bool)
    sx, sy = WIDTH / size[0], HEIGHT / size[1]
    for face in faces:
        x1, y1 = np.percentile(face.boxes[:, :2], 5, axis=0)
        x2, y2 = np.percentile(face.boxes[:, 2:], 95, axis=0)
        w, h = x2 - x1, y2 - y1
        left, right = max(0, int((x1 - ASIDE * w) * sx)), max(0, int(np.ceil((x2 + ASIDE * w) * sx)))
        seen[max(0, int((y1 - ABOVE * h) * sy)) :, left:right] = False
    return seen


def camera(pictures: ShotPictures, seen: NDArray[np.bool_]) -> Camera:
    """Whether the camera stands still: each picture against the shot's first, by phase correlation."""
    luma = [picture.astype(np.float32) for _, picture in sorted(pictures.luma.items())]
    if len(luma) < 3 or seen.mean() < LEAST_SEEN:
        return "cannot tell"
    window = cv2.createHanningWindow((WIDTH, HEIGHT), cv2.CV_32F)
    first = _texture(luma[0], seen)
    moves = np.asarray([(*cv2.phaseCorrelate(first, _texture(one, seen), window),) for one in luma[1:]], object)
    shifts = np.asarray([np.hypot(*shift) for shift, _ in moves])
    found = np.asarray([response for _, response in moves], float) > RESPONSE
    if (~found).mean() > LOST:
        return "cannot tell"
    return "static" if np.percentile(shifts[found], 90) <= STANDS * WIDTH else "moves"


def _texture(luma: NDArray[np.float32], seen: NDArray[np.bool_]) -> NDArray[np.float32]:
    fine = cv2.GaussianBlur(luma, (0, 0), 1)
    fine = fine - cv2.GaussianBlur(fine, (0, 0), 6)
    return np.asarray(fine / (np.abs(fine).mean() + 0.5) * seen, np.float32)


def light_stops(pictures: ShotPictures, seen: NDArray[np.bool_]) -> float | None:
    """Between the darkest and the brightest moment, the median of what is beside people, in stops; None if unknown.

    Where people fill the picture, of all of it. Pictures are gamma coded: twice the light is about 1.37 times the code
    value (sRGB and BT.709 are near a power of 2.2 there).
    """
    if len(pictures.luma) < 2:
        return None
    if seen.mean() < LEAST_SEEN:
        seen = np.ones_like(seen)
    levels = np.asarray([float(np.median(picture[seen])) for picture in pictures.luma.values()])
    coded = np.log2(levels + NOISE)
    return float(2.2 * (coded.max() - coded.min()))
