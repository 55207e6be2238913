"""Boxes round mouth and eyes, and how far the eyes are open, from 68 landmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import MediaError

MARGIN = 0.25  # of the mouth's width, round the landmarks of the mouth
#: Half the size of an eye's box, as shares of the distance between the eye's corners: lids and what they move.
EYE_BOX = (0.8, 0.6)


def mouth_boxes(landmarks68: NDArray[np.floating], margin: float = MARGIN) -> NDArray[np.int64]:
    """(T, 68, 2) px -> (T, 4) boxes x0, y0, x1, y1 px round the mouth, `margin` of its width wider on each side.

    Frames without landmarks (NaN) take the nearest frame's box.
    """
    points = _filled(landmarks68, slice(48, 68), "mouth")
    low, high = points.min(1), points.max(1)
    grow = margin * (high[:, :1] - low[:, :1])
    return np.concatenate([np.floor(low - grow), np.ceil(high + grow)], 1).astype(np.int64)


def eye_boxes(landmarks68: NDArray[np.floating], half: tuple[float, float] = EYE_BOX) -> NDArray[np.int64]:
    """(T, 68, 2) px -> (T, 2, 4) boxes x0, y0, x1, y1 px round the eyes, image's left first.

    They hang on the corners of the eye, which lids do not move: a blink stays in its place in the box.
    """
    corners = _filled(landmarks68, [36, 39, 42, 45], "eyes").reshape(-1, 2, 2, 2)  # (T, eye, corner, xy)
    middle = corners.mean(2)
    width = np.linalg.norm(corners[:, :, 1] - corners[:, :, 0], axis=-1, keepdims=True)
    reach = width * np.array(half)
    return np.concatenate([np.floor(middle - reach), np.ceil(middle + reach)], -1).astype(np.int64)


def eye_opening(landmarks68: NDArray[np.floating]) -> NDArray[np.float32]:
    """(T, 68, 2) px -> (T,) distance of the lids as a share of the eye's width, mean of both eyes."""
    p = _filled(landmarks68, slice(36, 48), "eyes").reshape(-1, 2, 6, 2)
    far = np.linalg.norm(p[:, :, [1, 2]] - p[:, :, [5, 4]], axis=-1).mean((1, 2))
    width = np.linalg.norm(p[:, :, 0] - p[:, :, 3], axis=-1).mean(1)
    return (far / np.maximum(width, 1e-6)).astype(np.float32)


def _filled(landmarks68: NDArray[np.floating], which: slice | list[int], what: str) -> NDArray[np.float64]:
    """(T, n, 2) of the landmarks; frames without take the nearest frame's."""
    points: NDArray[np.float64] = np.asarray(landmarks68, np.float64)[:, which]
    found = np.isfinite(points).all((1, 2))
    if not found.any():
        raise MediaError(f"no {what} in any frame", "the landmarks are all missing", "check the face track")
    rows = np.flatnonzero(found)
    return points[rows[np.abs(rows[None] - np.arange(len(points))[:, None]).argmin(1)]]
