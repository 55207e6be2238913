"""Eyes: balls with a cornea, lids as edge loops that hug the ball, lashes.

Columns of the lid loops run counter-clockwise as seen, column 0 at the image's right corner of each eye. Side -1 is
the eye on the image's left, +1 the one on the right.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lipbench.synthetic.head.relief import EYE_RADIUS, EYE_X, EYE_Y, face_point
from lipbench.synthetic.head.shape import Array, step

COLUMNS = 40
HALF_WIDTH = 0.148
#: loops of the lids: (growth from the margin, height above the ball, share of the face surface)
#: loop 0 lies under the lid, on the ball, and closes the corners; loop 1 is the inner edge, loop 2 the outer edge
LOOPS = (
    (-0.10, -0.040, 0.00),
    (0.00, 0.003, 0.00),
    (0.035, 0.013, 0.00),
    (0.16, 0.016, 0.05),
    (0.33, 0.013, 0.22),
    (0.50, 0.014, 0.52),
    (0.72, 0.008, 0.82),
    (1.00, 0.000, 1.00),
)
INNER_EDGE, OUTER_EDGE = 1, 2


@cache
def socket(side: int) -> Array:
    """(3,) center of the eyeball (read-only)."""
    surface = face_point(np.array([EYE_X * side]), np.array([EYE_Y]))[0, 2]
    center = np.array([EYE_X * side, EYE_Y, surface + 0.012 - EYE_RADIUS])
    center.setflags(write=False)
    return center


def margin(side: int) -> tuple[Array, Array, Array]:
    """(K,) theta, and x, y of the lid margin relative to the eye's center. The inner corner sits lower."""
    theta = np.arange(COLUMNS) / COLUMNS * 2 * np.pi
    x = np.cos(theta) * HALF_WIDTH
    e = np.clip(1 - (x / HALF_WIDTH) ** 2, 0, 1)
    inner = np.clip(-side * x / HALF_WIDTH, -1, 1)  # +1 at the corner by the nose
    upper = 0.053 * e**0.70 * (1 + 0.14 * inner)
    lower = -0.046 * e**0.80 * (1 - 0.20 * inner)
    y = np.where(np.sin(theta) > 1e-6, upper, np.where(np.sin(theta) < -1e-6, lower, 0.0))
    return theta, x, y + 0.012 * side * x / HALF_WIDTH - 0.004


def lid_loops(side: int) -> Array:
    """(L, K, 3) lid loops from the margin outwards."""
    center = socket(side)
    theta, x, y = margin(side)
    sin = np.sin(theta)
    loops = []
    for growth, height, share in LOOPS:
        taller = np.where(sin > 0, 1.35, 1.55) * growth
        # The hidden loop ends inside the ball at the corners too, where the slit is wider than the ball.
        xx = center[0] + x * (1 + (0.52 if growth >= 0 else 2.2) * growth)
        yy = EYE_Y + y * (1 + taller) + sin * growth * 0.055
        point = face_point(xx, yy)
        # Towards the corners the lids leave the ball, which is narrower than the slit between them.
        narrow = 1.0 if growth < 0 else 0.86
        flat = (narrow * (xx - center[0])) ** 2 + (yy - center[1]) ** 2
        ball = center[2] + np.sqrt(np.maximum((EYE_RADIUS + height) ** 2 - flat, 0.035**2))
        # The fold of the upper lid: the skin above hangs over the lid's plate.
        fold = 0.020 * np.exp(-(((growth - 0.50) / 0.16) ** 2)) * np.clip(sin, 0, 1) ** 0.7
        fold -= 0.012 * np.exp(-(((growth - 0.30) / 0.10) ** 2)) * np.clip(sin, 0, 1) ** 0.7
        point[:, 2] = ball * (1 - share) + point[:, 2] * share + fold
        loops.append(point)
    return np.stack(loops)


def ball(side: int) -> tuple[Array, Array, Array]:
    """(24, 40, 3) eyeball looking straight ahead, with the polar angle and azimuth of its vertices."""
    polar, azimuth = np.meshgrid(
        np.linspace(0, np.pi * 0.62, 24), np.linspace(0, 2 * np.pi, 40, endpoint=False), indexing="ij"
    )
    radius = EYE_RADIUS * (1 + 0.045 * np.exp(-((polar / 0.42) ** 2)))  # the cornea bulges
    offset = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    return socket(side) + radius[..., None] * offset, polar, azimuth


def lashes(loops: Array, side: int) -> Array:
    """(3, K/2 - 1, 3) fringe along the upper margin, from the root to the tips, image right to left."""
    upper = np.arange(1, COLUMNS // 2)
    root = loops[OUTER_EDGE, upper]
    along = np.cos(upper / COLUMNS * 2 * np.pi) * side  # +1 at the outer corner
    length = 0.014 + 0.012 * step(-0.6, 0.9, along)
    length *= np.sin(np.pi * np.clip(np.arange(1, len(upper) + 1) / (len(upper) + 1), 0, 1)) ** 0.7
    forward = np.stack([0.25 * side * (along + 0.2), 0.15 + 0 * along, 1 + 0 * along], -1)
    tip = root + forward * (length * 0.8)[:, None]
    curl = root + forward * length[:, None] + np.stack([0 * length, 0.30 * length, 0 * length], -1)
    return np.stack([root - np.array([0, 0, 0.004]), tip, curl])
