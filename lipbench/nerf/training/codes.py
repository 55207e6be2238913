"""The codes of the frames: where they begin, and what is left to them.

A code learns what the condition does not tell. A blink lasts five frames and a code is drawn once in a dozen steps, so
a short training has to be shown where to look; and lids that the expression tells are never learnt by a code.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lipbench.nerf.scene import Scene

Float32 = NDArray[np.float32]

PATCH = (12, 8)  # width and height that an eye's image is brought to
MODES = 8
#: Correlation of the best direction with the lids below which a condition does not tell them: an expression that was
#: fitted to landmarks with lids has .97, one without them, or features of audio, below .4.
MIN_CORRELATION = 0.7


def eye_codes(scene: Scene, length: int) -> Float32:
    """(T, length) codes to start from that say how the eyes look.

    The first `MODES` numbers are principal components of the eyes' images, in units of the first one's standard
    deviation; the others are 0, as all are where the scene knows no eyes. Lids change an eye's image more than light
    and gaze do, so they come first.
    """
    import cv2

    out = np.zeros((len(scene), length), np.float32)
    k = min(MODES, length, len(scene))
    if not scene.eyes.shape[1] or not k:
        return out
    rows = []
    for frame, boxes in zip(scene.frames, scene.eyes, strict=True):
        eyes = [cv2.resize(frame[y0:y1, x0:x1], PATCH, interpolation=cv2.INTER_LINEAR) for x0, y0, x1, y1 in boxes]
        rows.append(np.concatenate([eye.reshape(-1) for eye in eyes]))
    looks = np.asarray(rows, np.float64)
    u, s, _ = np.linalg.svd(looks - looks.mean(0), full_matrices=False)
    k = min(k, len(s))
    out[:, :k] = u[:, :k] * (s[:k] / max(float(s[0]), 1e-9)) * np.sqrt(len(scene))
    return out


def lid_direction(condition: ArrayLike, lids: ArrayLike) -> Float32 | None:
    """The direction in which conditions move as the eyes open: their covariance with the lids, as a unit vector.

    Args:
        condition: (T, C).
        lids: (T,) how far the eyes are open.

    Returns:
        (C,), or None where the conditions do not tell the lids. What `without` leaves of the conditions is uncorrelated
        with the lids.
    """
    x, y = np.asarray(condition, np.float64), np.asarray(lids, np.float64)
    x, y = x - x.mean(0), y - y.mean()
    u = x.T @ y
    size = float(np.linalg.norm(u))
    if size < 1e-9:
        return None
    u /= size
    along = x @ u
    correlation = float(along @ y) / float(np.linalg.norm(along) * np.linalg.norm(y))
    return u.astype(np.float32) if correlation >= MIN_CORRELATION else None


def without(condition: ArrayLike, direction: ArrayLike | None) -> Float32:
    """(N, C) conditions less their share of a (C,) unit vector."""
    x = np.asarray(condition, np.float64)
    if direction is not None:
        u = np.asarray(direction, np.float64)
        x = x - (x @ u)[:, None] * u
    return x.astype(np.float32)
