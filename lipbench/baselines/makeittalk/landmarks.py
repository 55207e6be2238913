"""From predicted displacements to landmarks in the image: MakeItTalk's rules, one function each.

Source: util/utils.py, src/approaches/train_audio2landmark.py and main_end2end.py of github.com/yzhou359/MakeItTalk.
Landmarks are (T, 68, 3) or (68, 3), iBUG order. Normalized: the line between the first and the last jaw point is 1.6
long, level, its middle is the origin; x right, y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

JAW_WIDTH = 1.6
UPPER_FACE = slice(17, 48)  # brows, nose, eyes
UPPER_OUTER, LOWER_OUTER = np.arange(49, 54), np.arange(59, 54, -1)  # pairs above one another
UPPER_INNER, LOWER_INNER = np.arange(61, 64), np.arange(67, 64, -1)
#: Outer lip points that keep their distance to an inner one where crossed lips are mended.
_OUTER_OF = ((49, 60), (50, 61), (51, 62), (52, 63), (53, 64), (55, 64), (56, 65), (57, 66), (58, 67), (59, 60))
_EYE_PAIRS = ((37, 41), (38, 40), (43, 47), (44, 46))
_CLOSING, _OPENING = 10, 15  # frames of a blink before and after it is shut
FIRST_BLINK = 30


@dataclass(frozen=True)
class Frame:
    """Where a face stands in the image. Upstream has no angle: its photos are upright."""

    origin: NDArray[np.float64]
    scale: float
    angle: float

    @classmethod
    def of(cls, points: Points) -> Frame:
        """Of (68, >= 2) px."""
        left, right = points[0, :2], points[16, :2]
        across = right - left
        return cls((left + right) / 2, JAW_WIDTH / float(np.hypot(*across)), float(np.arctan2(across[1], across[0])))

    def normalize(self, points: Points) -> Points:
        """(..., 68, 2) px -> normalized."""
        return (points[..., :2] - self.origin) @ self._rotation() * self.scale

    def place(self, points: Points) -> Points:
        """(..., 68, >= 2) normalized -> (..., 68, 2) px."""
        return points[..., :2] @ self._rotation().T / self.scale + self.origin

    def _rotation(self) -> Points:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, -s], [s, c]])


def wider_eyes_slimmer_lips(points: Points) -> Points:
    """(68, n) px of a 256 px photo: upstream's hand-made adjustment of what its detector finds, 1 and 2 px."""
    out = points.copy()
    out[49:54, 1] += 1
    out[55:60, 1] -= 1
    out[[37, 38, 43, 44], 1] -= 2
    out[[40, 41, 46, 47], 1] += 2
    return out


def mouth_gap(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 68, n) -> (...) mean distance of the inner lips over the mouth's width."""
    gap = np.linalg.norm(points[..., LOWER_INNER, :2] - points[..., UPPER_INNER, :2], axis=-1).mean(-1)
    width = np.linalg.norm(points[..., 54, :2] - points[..., 48, :2], axis=-1)
    found: NDArray[np.float64] = gap / np.maximum(width, 1e-6)
    return found


def eye_opening(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 68, n) -> (...) mean distance of the lids over the eyes' width."""
    upper, lower = np.array(_EYE_PAIRS).T
    gap = np.linalg.norm(points[..., lower, :2] - points[..., upper, :2], axis=-1).mean(-1)
    width = np.linalg.norm(points[..., [39, 45], :2] - points[..., [36, 42], :2], axis=-1).mean(-1)
    found: NDArray[np.float64] = gap / np.maximum(width, 1e-6)
    return found


def arches(points: Points) -> Points:
    """(68, 2) -> (16, 2) further points of the inner lips (8) and the lids (8), where the 68 leave gaps to the corners.

    Each side of an opening is taken for half an ellipse from corner to corner, as high as its own point says.
    """
    out = [
        *_half_ellipse(points, 60, 64, (61, 63), (0.55, 0.85)),
        *_half_ellipse(points, 60, 64, (67, 65), (0.55, 0.85)),
    ]
    for left, right, upper, lower in ((36, 39, (37, 38), (41, 40)), (42, 45, (43, 44), (47, 46))):
        out += _half_ellipse(points, left, right, upper, (0.8,)) + _half_ellipse(points, left, right, lower, (0.8,))
    return np.array(out)


def _half_ellipse(
    points: Points, left: int, right: int, sides: tuple[int, int], places: tuple[float, ...]
) -> list[NDArray[np.float64]]:
    """Points of a curve from corner `left` to corner `right`, first on the side of sides[0], then of sides[1]."""
    along = (points[right] - points[left]) / 2
    half = max(float(np.hypot(*along)), 1e-6)
    along = along / half
    down, middle = np.array([-along[1], along[0]]), (points[left] + points[right]) / 2
    out = []
    for side, point in zip((-1, 1), points[list(sides)], strict=True):
        at = np.clip((point - middle) @ along / half, -0.9, 0.9)
        height = (point - middle) @ down / np.sqrt(1 - at**2)
        out += [middle + u * side * half * along + height * np.sqrt(1 - u**2) * down for u in places]
    return out


def met(points: Points) -> Points:
    """(..., 68, n) with every pair of inner lip points that has crossed put together in its middle.

    Up is from the lower to the upper outer lip. `uncrossed` is upstream's rule and looks at the mouth as a whole.
    """
    out = points.copy()
    up = (points[..., UPPER_OUTER, :2] - points[..., LOWER_OUTER, :2]).sum(-2, keepdims=True)
    upper, lower = points[..., UPPER_INNER, :], points[..., LOWER_INNER, :]
    crossed = ((upper - lower)[..., :2] * up).sum(-1, keepdims=True) < 0
    middle = (upper + lower) / 2
    out[..., UPPER_INNER, :] = np.where(crossed, middle, upper)
    out[..., LOWER_INNER, :] = np.where(crossed, middle, lower)
    return out


def shut(points: Points) -> Points:
    """(68, n) with the lips closed: inner points meet in the middle, outer ones keep their distance to them."""
    out = points.copy()
    middle = (points[UPPER_INNER] + points[LOWER_INNER]) / 2
    for inner, outer in ((UPPER_INNER, UPPER_OUTER), (LOWER_INNER, LOWER_OUTER)):
        shift = middle - points[inner]
        out[inner] = middle
        out[outer[1:4]] += shift  # 50..52 stand over 61..63, 58..56 under 67..65
        out[outer[[0, 4]]] += shift[[0, 2]] / 2
    return out


def without_lip_opening(displacement: Points, share: float = 0.99) -> Points:
    """(T, 68, 3): upper and lower lip move alike, as the speaker branch has no say in the words."""
    out = displacement.copy()
    for upper, lower in ((UPPER_OUTER, LOWER_OUTER), (UPPER_INNER, LOWER_INNER)):
        mean = (displacement[:, upper] + displacement[:, lower]) / 2
        out[:, upper] = share * mean + (1 - share) * displacement[:, upper]
        out[:, lower] = share * mean + (1 - share) * displacement[:, lower]
    return out


def calibrated(displacement: Points) -> Points:
    """(T, 68, 3) less, for each coordinate, the mean of its lower half: what counts as the face at rest."""
    ordered = np.sort(displacement, axis=0)
    half = len(displacement) // 2
    return displacement - ordered[:half].mean(0) if half else displacement


def amplified(displacement: Points, x: float, y: float) -> Points:
    """(T, 68, 3) with the mouth's movement times x and y."""
    out = displacement.copy()
    out[:, 48:, 0] *= x
    out[:, 48:, 1] *= y
    return out


def uncrossed(points: Points) -> Points:
    """(T, 68, n) with lips that had passed through one another put together.

    Where the inner lips' polygon is inside out, facing points meet in the middle, and the outer lips keep the height
    over the inner ones that they had in the frame before.
    """
    out = points.copy()
    inner = out[:, 60:68]
    nxt = np.roll(inner, -1, axis=1)
    area = (inner[..., 0] * nxt[..., 1] - nxt[..., 0] * inner[..., 1]).sum(1)
    outer, of = np.array(_OUTER_OF).T
    for t in map(int, np.flatnonzero(area < 0)):
        middle = (out[t, UPPER_INNER] + out[t, LOWER_INNER]) / 2
        out[t, UPPER_INNER] = out[t, LOWER_INNER] = middle
        before = out[max(t - 1, 0)].copy()
        out[t, outer, 1] = out[t, of, 1] + before[outer, 1] - before[of, 1]
    return out


def with_straight_nose(points: Points) -> Points:
    """(T, 68, n): the top of the nose continues the line of the next two points."""
    out = points.copy()
    out[:, 27] = 2 * out[:, 28] - out[:, 29]
    return out


def smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """(T, ...) after a cubic Savitzky-Golay filter; a shorter window where T is, none under five frames."""
    from scipy.signal import savgol_filter

    length = min(window, (len(values) - 1) // 2 * 2 + 1)
    if length < 5:
        return values
    out: NDArray[np.float64] = savgol_filter(values, length, 3, axis=0)
    return out


def blinks(count: int, seed: int) -> list[int]:
    """Landmark frames (62.5 per second) at which the eyes are shut: the first at 30, then every 90 to 150 frames."""
    rng = np.random.RandomState(seed)  # upstream's generator, so that its seed 0 gives its blinks
    found: list[int] = [FIRST_BLINK] if count > FIRST_BLINK + _OPENING else []
    at = FIRST_BLINK
    while found and at < count - 1 - _OPENING:
        at += 60 + int(rng.randint(30, 90))
        if at < count - 1 - _OPENING:
            found.append(at)
    return found


def with_blinks(points: Points, shut: list[int]) -> Points:
    """(T, 68, n) with lids 5 % closer together, and shut around the given frames."""
    closed = np.zeros(len(points))
    t = np.arange(len(points))
    for at in shut:
        ramp = np.where(t <= at, 1 - (at - t) / _CLOSING, 1 - (t - at) / _OPENING)
        closed = np.maximum(closed, np.clip(ramp, 0, 1))
    out = points.copy()
    for upper, lower in _EYE_PAIRS:
        a, b = points[:, upper], points[:, lower]
        top, bottom = 0.95 * a + 0.05 * b, 0.05 * a + 0.95 * b
        lid = 0.25 * a + 0.75 * b  # where both lids meet
        c = closed[:, None]
        out[:, upper], out[:, lower] = (1 - c) * top + c * lid, (1 - c) * bottom + c * lid
    return out


def resampled(points: Points, rate: float, count: int, fps: float) -> Points:
    """(T, ...) at `rate` -> (count, ...) at `fps`, linear between its neighbors, the last one held."""
    at = np.minimum(np.arange(count) * rate / fps, len(points) - 1)
    low = np.minimum(at.astype(int), max(len(points) - 2, 0))
    high = np.minimum(low + 1, len(points) - 1)
    part = (at - low).reshape(-1, *[1] * (points.ndim - 1))
    out: Points = (1 - part) * points[low] + part * points[high]
    return out
