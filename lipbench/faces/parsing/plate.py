"""Clean plates: the background of a shot without the person in front of it.

A still background is gathered as AD-NeRF does (data_util/process_data.py, step 4): every pixel comes from the frame in
which it lies farthest from anything that is not background, if that is more than 5 px. AD-NeRF then copies the nearest
such pixel into the rest; here the rest is filled smoothly. A moving background gets a plate for each frame: the median
of neighboring frames, moved to where the background is now, then the same fill.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.parsing.align import ImageMotion
from lipbench.faces.parsing.fill import smooth_fill
from lipbench.faces.parsing.types import Label, Parsing

FAR = 5.0  # px: nearer to the person a pixel may hold some of its color
SAMPLES = 60  # frames that a still plate is gathered from; AD-NeRF takes every 20th
#: Frames before and after from which a moving plate is gathered.
NEIGHBORS = (3, 8, 16, 32)
_CHANGED, _SHARE = 10.0, 0.03  # levels of difference, and share of the background that must show it, to call it moving


class Plate:
    """What is behind the person.

    Attributes:
        static: whether one image serves all frames.
        image: (H, W, 3) uint8, that image; None when the background moves.
        seen: share of the image that some frame showed (static plates; 1.0 for moving ones until asked).
        notes: for reports.
    """

    def __init__(
        self,
        frames: NDArray[np.uint8],
        parsing: Parsing,
        image: NDArray[np.uint8] | None,
        seen: float,
        notes: tuple[str, ...],
    ) -> None:
        self.image, self.seen, self.notes = image, seen, notes
        self._frames, self._parsing = frames, parsing
        self._motion = None if image is not None else ImageMotion(frames, self._background)
        self._last: tuple[int, NDArray[np.uint8]] | None = None

    @property
    def static(self) -> bool:
        return self.image is not None

    @classmethod
    def still(cls, image: NDArray[np.uint8]) -> Plate:
        """A plate that is known, (H, W, 3) uint8."""
        empty = Parsing(np.zeros((0, *image.shape[:2]), np.uint8), "none")
        return cls(np.zeros((0, *image.shape), np.uint8), empty, image, 1.0, ())

    def frame(self, t: int) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB at frame t of the clip."""
        if self.image is not None:
            return self.image
        if self._last is None or self._last[0] != t:
            self._last = (t, self._moving(t))
        return self._last[1]

    def _background(self, t: int) -> NDArray[np.bool_]:
        return np.asarray(self._parsing.labels[t] == Label.BACKGROUND)

    def _moving(self, t: int) -> NDArray[np.uint8]:
        frames, motion = self._frames, self._motion
        assert motion is not None
        hole = _dilated(self._parsing.labels[t] != Label.BACKGROUND, int(FAR))
        box = _box(hole)
        if box is None:
            return frames[t]
        window = (slice(box[1], box[3]), slice(box[0], box[2]))
        donors, seen = [], []
        near = [t + sign * k for k in NEIGHBORS for sign in (-1, 1)]
        for other in (k for k in near if 0 <= k < len(frames)):
            # The window's own coordinates: shift the similarity so that only the window is warped.
            matrix = motion.between(other, t) - np.array([[0, 0, box[0]], [0, 0, box[1]]])
            size = (box[2] - box[0], box[3] - box[1])
            clear = (~_dilated(self._parsing.labels[other] != Label.BACKGROUND, int(FAR))).astype(np.uint8)
            donors.append(cv2.warpAffine(frames[other], matrix, size, borderMode=cv2.BORDER_REPLICATE))
            seen.append(cv2.warpAffine(clear, matrix, size, flags=cv2.INTER_NEAREST) == 1)
        part, known = _median(donors, seen, frames[t][window], ~hole[window])
        out = frames[t].copy()
        filled = smooth_fill(part.astype(np.float32), known)
        out[window] = np.clip(filled + 0.5, 0, 255).astype(np.uint8)
        return out


def clean_plate(frames: NDArray[np.uint8], parsing: Parsing, *, static: bool | None = None) -> Plate:
    """The plate of a shot.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        static: whether camera and background stand still; None: measured.

    Raises:
        UsageError: frames and labels of different length or size.
    """
    if frames.shape[:3] != parsing.labels.shape:
        raise UsageError(
            f"frames {frames.shape[:3]} and labels {parsing.labels.shape} do not belong together",
            "they differ in length or size",
            "parse the clip whose plate is wanted",
        )
    sample = sorted({int(t) for t in np.linspace(0, len(frames) - 1, min(SAMPLES, len(frames)))})
    if static is None:
        static = not _moves(frames, parsing, sample)
    if not static:
        return Plate(frames, parsing, None, 1.0, ("the background moves: a plate for each frame",))
    image, known = _gather(frames, parsing, sample)
    filled = smooth_fill(image.astype(np.float32), known)
    seen = float(known.mean())
    notes = (f"{seen:.0%} of the plate was seen in some frame, the rest is filled in",)
    return Plate(frames, parsing, np.clip(filled + 0.5, 0, 255).astype(np.uint8), seen, notes)


def _gather(
    frames: NDArray[np.uint8], parsing: Parsing, sample: list[int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Each pixel from the frame where it is farthest from the person; (H, W, 3) and where that is far enough."""
    height, width = frames.shape[1:3]
    best, image = np.zeros((height, width)), np.zeros((height, width, 3), np.uint8)
    for t in sample:
        clear = (parsing.labels[t] == Label.BACKGROUND).astype(np.uint8)
        if clear.all():
            far = np.full((height, width), float((height + width) ** 2))
        else:
            distance = cv2.distanceTransform(clear, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
            # Squared distances are whole numbers. As floats they differ in the last bit from call to call, and frames
            # that are equally far would win by chance.
            far = np.square(distance, dtype=np.float64)
            np.rint(far, out=far)
        more = far > best
        np.copyto(best, far, where=more)
        image = np.asarray(cv2.copyTo(frames[t], more.view(np.uint8), image), np.uint8)
    return image, best > FAR**2


def _moves(frames: NDArray[np.uint8], parsing: Parsing, sample: list[int]) -> bool:
    """Whether the background of sampled frames changes by more than noise."""
    picked = sample[:: max(1, len(sample) // 12)]
    shares = []
    for before, after in pairwise(picked):
        person = (parsing.labels[before] != Label.BACKGROUND) | (parsing.labels[after] != Label.BACKGROUND)
        clear = ~_dilated(person, 2 * int(FAR))
        if clear.mean() < 0.02:
            continue
        difference = cv2.blur(cv2.absdiff(frames[before], frames[after]).max(-1), (5, 5))
        shares.append(float((difference[clear] > _CHANGED).mean()))
    return bool(shares) and float(np.median(shares)) > _SHARE


def _median(
    donors: list[NDArray[np.uint8]], seen: list[NDArray[np.bool_]], own: NDArray[np.uint8], clear: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Own pixels where they are clear, else the median of the donors that see the place; and where either holds."""
    out, known = own.copy(), clear.copy()
    if not donors:
        return out, known
    wanted = ~clear
    values = np.stack([d[wanted] for d in donors]).astype(np.float32)  # (N, P, 3)
    values[~np.stack([s[wanted] for s in seen])] = np.inf  # sorted to the end
    count = np.stack([s[wanted] for s in seen]).sum(0)  # (P,)
    ordered = np.sort(values, 0)
    middle = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0)[None, :, None], 0)[0]
    found = count > 0
    known[wanted] = found
    out[wanted] = np.where(found[:, None], middle, 0).astype(np.uint8)
    return out, known


def _dilated(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    grown: NDArray[np.bool_] = cv2.dilate(mask.astype(np.uint8), kernel) == 1
    return grown


def _box(mask: NDArray[np.bool_], margin: int = 8) -> tuple[int, int, int, int] | None:
    """x0, y0, x1, y1 around a mask (H, W) with a margin, inside the image; None when it is empty."""
    if not mask.any():
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    return (
        int(max(columns[0] - margin, 0)),
        int(max(rows[0] - margin, 0)),
        int(min(columns[-1] + 1 + margin, width)),
        int(min(rows[-1] + 1 + margin, height)),
    )


def head_over_plate(frames: NDArray[np.uint8], parsing: Parsing, plate: Plate) -> NDArray[np.uint8]:
    """(T, H, W, 3): head pixels of the frames, the plate everywhere else (AD-NeRF's head_imgs, without JPEG)."""
    out = np.empty_like(frames)
    for t, frame in enumerate(frames):
        out[t] = np.where((parsing.labels[t] == Label.HEAD)[..., None], frame, plate.frame(t))
    return out
