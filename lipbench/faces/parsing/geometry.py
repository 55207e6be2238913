"""The head's own coordinates in a frame, from landmarks or from the fitted model's silhouette."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from lipbench.core.errors import NoFace, UsageError
from lipbench.faces.parsing.types import HeadGuide

Array = NDArray[np.float64]

JAW, BROWS, EYES = slice(0, 17), slice(17, 27), slice(36, 48)
#: Eye line to chin in interocular distances (between the eyes' centers) of a frontal adult face.
_EYES_TO_CHIN = 1.75
#: How far the jaw line of a head turned by 45 degrees or so is moved out over the far cheek, units.
FAR = 0.4


@dataclass(frozen=True)
class HeadFrame:
    """One frame's head.

    Attributes:
        origin: (2,) px, between the eyes.
        up: (2,) unit vector from the chin to the forehead in the image (y down).
        unit: px, from the eyes to the chin with the mouth shut, about.
        jaw: (K, 2) px, from the image-left ear over the chin to the image-right ear.
    """

    origin: Array
    up: Array
    unit: float
    jaw: Array

    @property
    def right(self) -> Array:
        """(2,) unit vector to the image's right."""
        return np.array([-self.up[1], self.up[0]])

    def at(self, x: float, y: float) -> Array:
        """(2,) px of head coordinates: x to the image's right, y up, in units."""
        return self.origin + self.unit * (x * self.right + y * self.up)

    def coordinates(self, height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Head coordinates of all pixel centers, two (H, W) arrays."""
        columns = (np.arange(width, dtype=np.float32) + 0.5 - self.origin[0]) / self.unit
        rows = ((np.arange(height, dtype=np.float32) + 0.5 - self.origin[1]) / self.unit)[:, None]
        x = columns * np.float32(self.right[0]) + rows * np.float32(self.right[1])
        y = columns * np.float32(self.up[0]) + rows * np.float32(self.up[1])
        return x.astype(np.float32), y.astype(np.float32)

    def scaled(self, factor: float) -> HeadFrame:
        """The same head in an image `factor` times as large."""
        return HeadFrame(self.origin * factor, self.up, self.unit * factor, self.jaw * factor)

    def above_jaw(self, height: int, width: int) -> NDArray[np.float32]:
        """(H, W) 1 where a pixel of skin belongs to the head, 0 below the jaw line, soft over about two pixels.

        Beside the jaw the line runs outwards below the ear lobes.
        """
        jaw = self._outline()
        left, right = jaw[0], jaw[-1]
        lobe = 0.28 * self.unit
        outer = [right - lobe * self.up, right + 9 * self.unit * self.right - lobe * self.up]
        inner = [left - 9 * self.unit * self.right - lobe * self.up, left - lobe * self.up]
        top = [outer[1] + 99 * self.unit * self.up, inner[0] + 99 * self.unit * self.up]
        # Points next to the ears lie above the lobes: the line leaves the jaw where it falls below them.
        heights = (jaw - self.origin) @ self.up
        low = jaw[heights < (left - self.origin) @ self.up - lobe]
        low = low if len(low) else jaw
        return _fill(np.concatenate([low, outer, top, inner]), height, width)

    def _outline(self) -> Array:
        """(K, 2) the jaw line, on a turned head moved outwards over the far cheek.

        Trackers' points stop short of that cheek's outline, and no neck is seen beside it: from the chin up to the ear
        the line goes out by up to `FAR` units.
        """
        x, y = (self.jaw - self.origin) @ self.right, (self.jaw - self.origin) @ self.up
        sides = np.abs(x[[0, -1]])
        turned = np.clip(2 * abs(sides[1] - sides[0]) / max(float(sides.sum()), 1e-6), 0, 1)
        far = x * np.sign(x[0] if sides[0] < sides[1] else x[-1]) > 0
        rise = np.clip((y - y.min()) / max(float(y.max() - y.min()), 1e-6), 0, 1)
        return self.jaw + (FAR * self.unit * turned * np.sign(x) * far * rise)[:, None] * self.right

    def face(self, height: int, width: int) -> NDArray[np.float32]:
        """(H, W) 1 inside the face: jaw line, and a forehead up to a bit over the brows."""
        brow = [self.at(x, 0.42) for x in (0.62, 0.3, 0.0, -0.3, -0.62)]
        return _fill(np.concatenate([self.jaw, brow]), height, width)


def _fill(polygon: Array, height: int, width: int) -> NDArray[np.float32]:
    mask = np.zeros((height, width), np.uint8)
    points = np.clip((polygon - 0.5) * 16, -(2**24), 2**24).round().astype(np.int32)
    cv2.fillPoly(mask, [points], 255, lineType=cv2.LINE_AA, shift=4)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.8), np.float32) / np.float32(255)


def head_frames(guide: HeadGuide) -> list[HeadFrame]:
    """The head of every frame.

    Raises:
        NoFace: neither landmarks nor a silhouette on any frame.
        UsageError: landmarks of an unknown layout.
    """
    points = guide.points68()
    if points is not None:
        return _from_landmarks(points)
    if guide.silhouette is not None and guide.silhouette.any():
        return _from_silhouettes(guide.silhouette)
    if guide.landmarks is None and guide.silhouette is None:
        raise UsageError("the guide says nothing", "it has neither landmarks nor a silhouette", "track the face first")
    raise NoFace("no frame shows a face", "all landmarks are lost", "give a video with one visible face")


def _smooth(values: Array, size: int = 3) -> Array:
    """Triangular mean over time, edges repeated."""
    reach = size // 2
    padded = np.concatenate([values[:1]] * reach + [values] + [values[-1:]] * reach)
    weights = np.array([reach + 1 - abs(k) for k in range(-reach, reach + 1)], np.float64)
    n = len(values)
    return sum(w * padded[k : k + n] for k, w in enumerate(weights / weights.sum()))  # type: ignore[return-value]


def _from_landmarks(points: Array) -> list[HeadFrame]:
    points = _smooth(points)
    left, right = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    origin = (left + right) / 2
    # Yaw shortens the distance between the eyes, pitch and an open jaw change the way to the chin: the larger of the
    # two, and its median over a second, is a size that does not pump with speech.
    chin = points[:, 8]
    unit = np.maximum(_EYES_TO_CHIN * np.linalg.norm(right - left, axis=1), 0.9 * np.linalg.norm(chin - origin, axis=1))
    unit = median_filter(unit, 25, mode="nearest")
    across = right - left
    along = origin - points[:, 6:11].mean(1)
    up = np.stack([across[:, 1], -across[:, 0]], 1)
    up = up / np.linalg.norm(up, axis=1, keepdims=True) + along / np.linalg.norm(along, axis=1, keepdims=True)
    up = _smooth(up / np.linalg.norm(up, axis=1, keepdims=True), 5)
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    return [HeadFrame(origin[t], up[t], float(unit[t]), points[t, JAW]) for t in range(len(points))]


def _from_silhouettes(silhouette: NDArray[np.bool_]) -> list[HeadFrame]:
    """Upright heads assumed: the jaw is the lower border of the silhouette's lower half."""
    found: list[HeadFrame | None] = []
    for mask in silhouette:
        rows = np.flatnonzero(mask.any(1))
        if len(rows) < 8:
            found.append(None)
            continue
        top, bottom = rows[0], rows[-1] + 1
        columns = np.flatnonzero(mask[(top + bottom) // 2 :].any(0))
        height = mask.shape[0]
        lower = height - mask[::-1, columns].argmax(0)
        pick = np.linspace(0, len(columns) - 1, 17).round().astype(int)
        jaw = np.stack([columns[pick] + 0.5, lower[pick]], 1).astype(np.float64)
        unit = 0.5 * (bottom - top)
        origin = np.array([columns.mean() + 0.5, bottom - unit])
        found.append(HeadFrame(origin, np.array([0.0, -1.0]), float(unit), jaw))
    known = [t for t, head in enumerate(found) if head is not None]
    nearest = [min(known, key=lambda k: abs(k - t)) for t in range(len(found))]
    return [found[k] for k in nearest]  # type: ignore[misc]
