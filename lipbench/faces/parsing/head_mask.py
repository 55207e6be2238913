"""Head masks put right by what a parser of single frames does not know: the fitted mesh, the clean plate, and time.

Three repairs, in this order:

- background beside the jaw is no head: what lies outside the mesh's silhouette and looks like the clean plate goes;
- hair that hangs over shoulders does not change between head and clothing from frame to frame: below the mouth, beside
  the neck, a second's majority decides;
- specks and holes (earrings, gaps between strands) take the label of what is around them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.faces.parsing.colors import Histogram, bins
from lipbench.faces.parsing.geometry import HeadFrame, head_frames
from lipbench.faces.parsing.plate import Plate, clean_plate
from lipbench.faces.parsing.types import HeadGuide, Label, Parsing
from lipbench.media.held import hold

Mask = NDArray[np.bool_]
#: (H, W) bool of a frame's number: where the fitted mesh is seen.
Silhouette = Callable[[int], Mask]

#: Levels of difference to the plate, each channel, below which a pixel may be background.
LIKE = 16
#: Rounds of cutting: what the first one frees shows more of the plate.
ROUNDS = 2
#: Frames from which colors are learnt.
SAMPLES = 16
#: How far from the head colors count as the background's, in head sizes (root of its area).
AWAY = 0.15
#: Frames before and after that vote on hair beside the neck: half a second at 25 frames per second.
REACH = 12
#: Where they vote: below and beside, in head units (eyes to chin) from between the eyes.
BELOW, BESIDE = -0.55, 0.4
#: Area below which a patch is a speck, in squared head units.
SPECK = 0.012

_CROSS = np.ones((3, 3), np.uint8)


def mend_heads(frames: NDArray[np.uint8], parsing: Parsing, guide: HeadGuide, silhouette: Silhouette) -> Parsing:
    """The parsing with its head masks put right.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        parsing: of the same frames, by any parser.
        guide: where the head is; its landmarks.
        silhouette: the fitted mesh's, (H, W) bool of a frame's number. It need not have hair.

    Raises:
        NoFace: the guide has no frame with a face.
    """
    heads = head_frames(guide)
    before = parsing.head_pixels()
    found, notes = parsing, parsing.notes
    for _ in range(ROUNDS):
        plate = clean_plate(frames, found)
        if not plate.static:
            # A plate of its own for each frame is made of neighbors, of which one with a bad mask spoils it.
            notes = (*notes, "head masks were not compared with the background: it moves")
            break
        found = cut_background(frames, found, plate, silhouette)
    cut = 1 - found.head_pixels() / max(before, 1)
    if cut >= 0.01:
        notes = (*notes, f"{cut:.0%} of the parser's head was background by the fitted mesh and the clean plate")
    steady = zip(steady_hair(found.labels, heads), heads, strict=True)
    return replace(found, labels=hold(without_specks(labels, head.unit) for labels, head in steady), notes=notes)


def cut_background(
    frames: NDArray[np.uint8], parsing: Parsing, plate: Plate, silhouette: Silhouette, like: int = LIKE
) -> Parsing:
    """Head pixels that are background become it.

    They lie outside the mesh, look like the plate, have a color that is rather the background's than the head's, and
    hang together with the background through such pixels: a plate that a bad mask has spoilt with hair cuts no hole.
    What is then cut off from the head, or thinner than three pixels where something was cut, goes with them.

    Args:
        frames: (T, H, W, 3) uint8 RGB.
        parsing: of the same frames.
        plate: of the same frames.
        silhouette: (H, W) bool of a frame's number.
        like: levels of difference to the plate.
    """
    odds = _background_odds(frames, parsing, silhouette)

    def cut(t: int, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels = parsing.labels[t].copy()
        head = labels == Label.HEAD
        if not head.any():
            return labels
        away = cv2.absdiff(cv2.GaussianBlur(frame, (3, 3), 0), cv2.GaussianBlur(plate.frame(t), (3, 3), 0)).max(-1)
        alike = head & ~silhouette(t) & (away < like) & (cv2.blur(odds[bins(frame)], (3, 3)) > 0)
        gone = alike & _reached(_touching_border(labels == Label.BACKGROUND), alike)
        kept = head & ~gone
        beside = cv2.dilate(gone.astype(np.uint8), np.ones((5, 5), np.uint8)) == 1
        kept &= (cv2.morphologyEx(kept.astype(np.uint8), cv2.MORPH_OPEN, _CROSS) == 1) | ~beside
        labels[head & ~_largest(kept)] = Label.BACKGROUND
        return labels

    return replace(parsing, labels=hold(cut(t, frame) for t, frame in enumerate(frames)))


def steady_hair(labels: NDArray[np.uint8], heads: list[HeadFrame], reach: int = REACH) -> Iterator[NDArray[np.uint8]]:
    """Each of (T, H, W) labels, where hair beside the neck stays head, or stays none, for about a second.

    Of the person's pixels beside and below the jaw, each takes the side, head or not, that most of the frames within
    `reach` take at its place in the image: hair that lies on shoulders rests with them when the head turns. Person and
    background, face and jaw line are left as they are.
    """
    height, width = labels.shape[1:]
    votes = np.zeros((len(Label), height, width), np.int16)
    for t in range(-reach, len(labels)):
        if t + reach < len(labels):
            for part in Label:
                votes[part] += labels[t + reach] == part
        if t - reach - 1 >= 0:
            for part in Label:
                votes[part] -= labels[t - reach - 1] == part
        if t < 0:
            continue
        out = labels[t].copy()
        x, y = heads[t].coordinates(height, width)
        here = (y < BELOW) & (np.abs(x) > BESIDE) & (labels[t] != Label.BACKGROUND)
        head, body = votes[Label.HEAD], votes[Label.NECK] + votes[Label.TORSO]
        out[here & (head > body)] = Label.HEAD
        leaves = here & (head < body) & (labels[t] == Label.HEAD)
        out[leaves] = np.where(votes[Label.NECK] > votes[Label.TORSO], Label.NECK, Label.TORSO)[leaves]
        yield out


def without_specks(labels: NDArray[np.uint8], unit: float) -> NDArray[np.uint8]:
    """(H, W) labels in which patches smaller than `SPECK` have the label most of their rim has.

    Args:
        unit: px from the eyes to the chin.
    """
    limit = SPECK * unit**2
    out = labels.copy()
    for part in (Label.NECK, Label.TORSO, Label.BACKGROUND, Label.HEAD):
        _, parts, stats, _ = cv2.connectedComponentsWithStats((out == part).astype(np.uint8), connectivity=4)
        for k in np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] < limit) + 1:
            x, y, w, h = (int(v) for v in stats[k, :4])
            view = np.s_[max(y - 1, 0) : y + h + 1, max(x - 1, 0) : x + w + 1]
            own = parts[view] == k
            rim = (cv2.dilate(own.astype(np.uint8), _CROSS) == 1) & ~own
            votes = np.bincount(out[view][rim], minlength=len(Label))
            out[view][own] = int(votes.argmax()) if votes.any() else part
    return out


def _background_odds(frames: NDArray[np.uint8], parsing: Parsing, silhouette: Silhouette) -> NDArray[np.float32]:
    """(bins,) log odds that a color is the background's: of what is far from the head, against the head in the mesh."""
    inside, outside = Histogram(), Histogram()
    for t in sorted({int(k) for k in np.linspace(0, len(frames) - 1, SAMPLES)}):
        head, mesh = parsing.labels[t] == Label.HEAD, silhouette(t)
        distance = cv2.distanceTransform((~(head | mesh)).astype(np.uint8), cv2.DIST_L2, 3)
        far = (parsing.labels[t] == Label.BACKGROUND) & (distance > AWAY * np.sqrt(max(int(head.sum()), 1)))
        image = bins(frames[t])
        inside.add(image, (head & mesh).astype(np.float32))
        outside.add(image, far.astype(np.float32))
    if not (inside.total and outside.total):  # nothing to learn from: the plate alone decides
        return np.ones_like(inside.density())
    return np.asarray(np.log(outside.density()) - np.log(inside.density()), np.float32)


def _touching_border(mask: Mask) -> Mask:
    """The parts of a mask (H, W) that touch the image's border."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
    return np.isin(parts, border[border > 0])


def _reached(start: Mask, through: Mask) -> Mask:
    """Where one comes to from `start` (H, W) by steps to neighbors inside `through`."""
    _, parts = cv2.connectedComponents((start | through).astype(np.uint8), connectivity=8)
    return np.isin(parts, np.unique(parts[start]))


def _largest(mask: Mask) -> Mask:
    """The largest part of a mask (H, W)."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return mask if count <= 2 else parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
