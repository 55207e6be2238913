"""Lips and mouth: edge loops round a real slit, a closed bag behind it, teeth, gums and tongue.

Columns run counter-clockwise as seen: column 0 is the image's right corner, K/4 the top, K/2 the left corner, 3K/4 the
bottom. Ring 0 is the inner line where the lips meet (upper and lower vertices distinct), the last vermilion ring is the
border of the red, further rings are skin.
"""

from __future__ import annotations

import numpy as np

from lipbench.synthetic.head.relief import MOUTH_HALF, MOUTH_Y, face_point
from lipbench.synthetic.head.shape import Array, step

COLUMNS = 64
CORNER_LIFT = 0.016
VERMILION = np.linspace(0, 1, 8)
SKIN = np.array([0.14, 0.32, 0.56, 0.88, 1.25])
#: ring coordinate: 0 inner line .. 1 border of the red .. 2.25 where the loops end
RINGS = np.r_[VERMILION, 1 + SKIN]
#: (depth behind the inner line, half height, width factor) of the loops of the mouth's inside
BAG = (
    (0.012, 0.006, 0.995),
    (0.040, 0.016, 0.985),
    (0.085, 0.050, 1.00),
    (0.16, 0.12, 1.08),
    (0.30, 0.18, 1.14),
    (0.46, 0.15, 0.90),
    (0.53, 0.05, 0.30),
)


def columns() -> tuple[Array, Array, Array]:
    """theta (K,), and masks of the upper and lower columns (the two corners are in neither)."""
    theta = np.arange(COLUMNS) / COLUMNS * 2 * np.pi
    return theta, np.sin(theta) > 1e-6, np.sin(theta) < -1e-6


def lip_lines(x: Array) -> tuple[Array, Array, Array]:
    """y of the upper border, of the line where the lips meet and of the lower border at (K,) x."""
    a = MOUTH_HALF
    e = np.clip(1 - (x / a) ** 2, 0, 1)
    bow = 1 - 0.16 * np.exp(-((x / 0.034) ** 2)) + 0.07 * np.exp(-(((np.abs(x) - 0.070) / 0.050) ** 2))
    upper = MOUTH_Y + 0.080 * e**0.88 * bow + 0.006 * e
    lower = MOUTH_Y - 0.100 * e**0.70 * (1 - 0.04 * np.exp(-((x / 0.05) ** 2)))
    middle = (
        MOUTH_Y + 0.004 * e - 0.008 * np.exp(-((x / 0.055) ** 2)) + 0.006 * np.exp(-(((np.abs(x) - 0.10) / 0.06) ** 2))
    )
    middle = np.where(e <= 0, MOUTH_Y, middle)
    # At rest the corners lie a little higher: a friendly face, not a frown.
    lift = CORNER_LIFT * (1 - e)
    return upper + lift, middle + lift, lower + lift


def lip_rings() -> Array:
    """(R, K, 3) positions of all loops from the inner line outwards."""
    theta, up, low = columns()
    cos, sin = np.cos(theta), np.sin(theta)
    x = np.sign(cos) * np.abs(cos) ** 0.92 * MOUTH_HALF
    x[np.abs(cos) < 1e-9] = 0.0
    upper, middle, lower = lip_lines(x)
    corner = MOUTH_Y + CORNER_LIFT
    middle[[0, COLUMNS // 2]] = corner
    border = np.where(up, upper, np.where(low, lower, corner))
    border_x = x * 1.03
    side = np.abs(sin)
    rings, lift = [], np.zeros(COLUMNS)
    for r in VERMILION:
        xx, yy = x + (border_x - x) * r, middle + (border - middle) * r
        # Cross-section of the red: turns in at the line, fullest at two fifths, ends on a faint ridge.
        full = np.sin(np.pi * np.clip(0.10 + 0.86 * r**0.85, 0, 1)) - 0.12
        lift = full * side**0.55 * np.where(up, 0.046, 0.060) - 0.028 * (1 - r) ** 2 * side**0.3
        lift -= 0.020 * (1 - side) ** 2 * (1 - r)
        point = face_point(xx, yy)
        point[:, 2] += lift
        rings.append(point)
    edge = lift
    for g in SKIN:
        xx = border_x * (1 + 0.40 * g)
        # Above there is room for the upper lip only: the nose has its own, finer mesh.
        above = step(-0.35, 0.35, sin)
        yy = middle + (border - middle) * (1 + (1.05 - 0.57 * above) * g) + sin * (0.060 - 0.042 * above) * g
        point = face_point(xx, yy)
        point[:, 2] += edge * np.exp(-3.2 * g) + 0.006 * np.exp(-(((g - 0.10) / 0.12) ** 2)) * side
        rings.append(point)
    return np.stack(rings)


def bag_rings(inner: Array) -> Array:
    """(B, K, 3) loops of the mouth's inside, continuing the inner line (K, 3) backwards."""
    theta, _, _ = columns()
    rings = []
    for depth, half_height, width in BAG:
        p = inner.copy()
        p[:, 0] *= width
        blend = step(0.02, 0.12, depth)
        y = MOUTH_Y + np.sin(theta) * half_height - 0.012 * (depth > 0.1)
        p[:, 1] = inner[:, 1] * (1 - blend) + y * blend + np.sin(theta) * half_height * (1 - blend)
        p[:, 2] = inner[:, 2] * (1 - 0.7 * blend) + 0.7 * blend * inner[:, 2].mean() - depth
        rings.append(p)
    return np.stack(rings)


ARCH = (0.245, 0.40)  # half width of the dental arch, and how far it reaches back
ARCH_ANGLE = 1.5


def arch(lower: bool, front: float, n: int = 141) -> tuple[Array, Array, Array]:
    """Dental arch, half an ellipse: (n,) x, z of the outer tooth faces, and the position s in [-1, 1] along it."""
    s = np.linspace(-1, 1, n)
    x = ARCH[0] * (0.96 if lower else 1.0) * np.sin(ARCH_ANGLE * s)
    return x, front - ARCH[1] * (1 - np.cos(ARCH_ANGLE * s)) - (0.020 if lower else 0.0), s


# Tooth borders as shares of the half arch: two incisors, canine, two premolars, molar.
UPPER_TEETH = np.array([0.0, 0.23, 0.41, 0.56, 0.69, 0.815, 1.0])
LOWER_TEETH = np.array([0.0, 0.145, 0.305, 0.47, 0.61, 0.755, 1.0])


def tooth_phase(s: Array, lower: bool) -> tuple[Array, Array]:
    """For positions s in [-1, 1]: phase in [0, 1) across the tooth there, and its number 0 (incisor) .. 5."""
    borders = LOWER_TEETH if lower else UPPER_TEETH
    a = np.clip(np.abs(s), 0, 1 - 1e-9)
    k = np.searchsorted(borders, a, side="right") - 1
    return (a - borders[k]) / (borders[k + 1] - borders[k]), k


def teeth(lower: bool, front: float) -> Array:
    """(9, 141, 3) one row of teeth; row 0 at the upper end. Upper teeth end a little below the line of the lips."""
    x, z, s = arch(lower, front)
    phase, number = tooth_phase(s, lower)
    round_ = np.sin(np.pi * phase) ** 0.5
    top, bottom = (MOUTH_Y - 0.020, MOUTH_Y - 0.115) if lower else (MOUTH_Y + 0.100, MOUTH_Y - 0.008)
    rows = []
    for v in np.linspace(0, 1, 9):
        tip = (1 - v) if lower else v  # 1 at the biting edge
        y = top + (bottom - top) * v
        corner = 0.006 * (1 - round_) ** 1.5 * tip**2  # rounded corners of the crowns
        short = (0.004 if not lower else 0.002) * np.isin(number, [1]) * tip  # laterals are shorter
        y = y + (-corner - short if lower else corner + short)
        zz = z + 0.016 * 4 * v * (1 - v) * round_ - 0.014 * (1 - round_) - 0.014 * tip**6
        rows.append(np.stack([x, y + 0 * x, zz], -1))
    return np.stack(rows)


def gums(lower: bool, front: float) -> Array:
    """(5, 141, 3) gum band behind the necks of the teeth."""
    x, z, s = arch(lower, front)
    phase, _ = tooth_phase(s, lower)
    scallop = 0.012 * (1 - np.sin(np.pi * phase))
    top, bottom = (MOUTH_Y - 0.098, MOUTH_Y - 0.20) if lower else (MOUTH_Y + 0.20, MOUTH_Y + 0.082)
    rows = []
    for v in np.linspace(0, 1, 5):
        near = (1 - v) if lower else v  # 1 at the teeth
        y = top + (bottom - top) * v + (scallop if lower else -scallop) * near
        rows.append(np.stack([x, y, z - 0.002 + 0.014 * np.sin(np.pi * np.clip(near * 0.9, 0, 1))], -1))
    return np.stack(rows)


def tongue(front: float) -> Array:
    """(16, 28, 3) tongue from the tip (row 0) backwards."""
    a, b = np.meshgrid(np.linspace(0, np.pi, 16), np.linspace(0, 2 * np.pi, 28, endpoint=False), indexing="ij")
    groove = -0.012 * np.exp(-((np.cos(b) / 0.30) ** 2)) * (np.sin(b) > 0) * np.sin(a)
    x = 0.160 * np.sin(a) ** 0.8 * np.cos(b) * (1 - 0.12 * np.cos(a))
    y = MOUTH_Y - 0.105 + 0.058 * np.sin(a) * np.sin(b) + groove + 0.030 * np.cos(a) ** 2 * (np.cos(a) < 0)
    return np.stack([x, y, front - 0.30 + 0.25 * np.cos(a)], -1)
