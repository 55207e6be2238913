"""Hair: a sheet of strands that starts at the crown, parts over the face and ends at the hairline or hangs free.

The sheet is a grid of its own, added after the template's vertices. Columns are strands, rows run from root to tip.
Column parameter c in [-pi, pi]; above the hairline it is the azimuth, further down the strands give way to the sides
and leave an opening for the face.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.interpolate import PchipInterpolator

from lipbench.core.errors import UsageError
from lipbench.faces.morphable.procedural.shape import Array, step
from lipbench.faces.morphable.procedural.skull import skull

ROWS, COLUMNS = 34, 120


@dataclass(frozen=True)
class Style:
    """One hair style.

    Attributes:
        line: heights y of the hairline at azimuths 0, 0.5, 0.9, 1.25, 1.6, 2.2, pi.
        thickness: of the sheet over crown, front, sides, back, dm.
        fall: y at which strands leave the skull and hang; None for hair that ends at the hairline.
        tip: y of the tips at the sides and at the back (hanging hair).
        opening: half angle of the face's opening at the height of the eyes (hanging hair).
        fringe: y at which strands over the forehead end (hanging hair); None for a parting without fringe.
        part: azimuth of the parting.
        sweep: sideways shift of strands on the way down, radians.
        wave: amplitude of waves, dm.
    """

    line: tuple[float, float, float, float, float, float, float] = (0.72, 0.68, 0.50, 0.12, 0.02, -0.25, -0.52)
    thickness: tuple[float, float, float, float] = (0.085, 0.085, 0.055, 0.060)
    fall: float | None = None
    tip: tuple[float, float] = (-0.7, -0.8)
    opening: float = 1.15
    fringe: float | None = None
    part: float = 0.0
    sweep: float = 0.0
    wave: float = 0.0


STYLES: dict[str, Style | None] = {
    "short": Style(thickness=(0.100, 0.115, 0.050, 0.060), sweep=0.25),
    "crop": Style(line=(0.76, 0.70, 0.50, 0.14, 0.06, -0.20, -0.46), thickness=(0.040, 0.040, 0.026, 0.030)),
    "side": Style(
        line=(0.74, 0.70, 0.52, 0.10, 0.00, -0.28, -0.55), thickness=(0.125, 0.140, 0.070, 0.075), sweep=0.55
    ),
    "bob": Style(fall=0.10, tip=(-0.80, -0.85), thickness=(0.085, 0.085, 0.120, 0.110), opening=1.10, fringe=0.36),
    "long": Style(fall=0.10, tip=(-1.45, -1.55), thickness=(0.080, 0.080, 0.110, 0.110), opening=1.12, wave=0.018),
    "bald": None,
}
HAIRLINE_AZIMUTH = np.array([0.0, 0.5, 0.9, 1.25, 1.6, 2.2, np.pi])


def style(name: str) -> Style | None:
    """The named style, None for a bald head.

    Raises:
        UsageError: no such style.
    """
    if name not in STYLES:
        raise UsageError(f"there is no hair style called {name!r}", f"known: {', '.join(STYLES)}", "use one of these")
    return STYLES[name]


def hairline(s: Style, azimuth: Array) -> Array:
    """Height y of the hairline at any azimuth in [-pi, pi]."""
    return PchipInterpolator(HAIRLINE_AZIMUTH, s.line)(np.abs(azimuth))


def _t_at(alpha: Array, y: Array) -> Array:
    """Parameter t at which the skull's meridian alpha passes height y, by bisection (heights fall along t)."""
    low, high = np.zeros_like(y), np.full_like(y, 0.93)
    for _ in range(24):
        middle = (low + high) / 2
        above = skull().surface(alpha, middle)[..., 1] > y
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def _outward(points: Array) -> Array:
    """(..., 3) unit directions away from the middle of the skull."""
    middle = np.stack([0 * points[..., 0], np.clip(points[..., 1], -0.3, 0.35), 0 * points[..., 0] - 0.12], -1)
    d = points - middle
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


def _thickness(s: Style, azimuth: Array, along: Array) -> Array:
    crown, front, side, back = s.thickness
    a = np.abs(azimuth)
    around = front * step(1.3, 0.5, a) + side * step(0.5, 1.3, a) * step(2.5, 1.7, a) + back * step(1.7, 2.5, a)
    return crown * step(0.45, 0.1, along) + around * step(0.1, 0.45, along)


def _lying(s: Style, c: Array, rows: Array, rng: np.random.Generator) -> Array:
    """Hair that ends at the hairline: thick above, running out to nothing at the edge."""
    tilt = s.sweep * rows[:, None] * np.cos(c / 2)[None]
    azimuth = c[None] + tilt
    end = _t_at(c + s.sweep * np.cos(c / 2), hairline(s, c + s.sweep * np.cos(c / 2)))
    end = end * (1 + rng.normal(0, 0.006, len(c)))
    t = rows[:, None] * end[None]
    base = skull().surface(azimuth, t)
    body = (1 - rows[:, None] ** 5) * (0.35 + 0.65 * step(0.0, 0.2, rows)[:, None])
    strands = 1 + 0.10 * rng.normal(size=len(c))[None] * step(0.1, 0.6, rows)[:, None]
    lift = _thickness(s, azimuth, rows[:, None]) * body * strands - 0.012 * step(0.86, 1.0, rows)[:, None]
    return base + _outward(base) * lift[..., None]


def _hanging(s: Style, c: Array, rows: Array, rng: np.random.Generator) -> Array:
    """Hair that leaves the skull at `fall` and hangs; over the face it parts, or ends as a fringe."""
    assert s.fall is not None
    a = np.abs(c)
    y_line = hairline(s, c)
    front_t = float(_t_at(np.zeros(1), np.full(1, s.line[0]))[0])
    fall_t = _t_at(c, np.full(len(c), s.fall))
    tip = s.tip[0] + (s.tip[1] - s.tip[0]) * step(1.2, 2.8, a)
    tip = tip + rng.normal(0, 0.012, len(c))
    if s.fringe is not None:
        over_face = step(0.95, 0.70, a)
        tip = tip * (1 - over_face) + (s.fringe + rng.normal(0, 0.010, len(c)) - 0.05 * a) * over_face
    drop = np.maximum(s.fall - tip, 0)
    length = fall_t * skull().length
    total = np.where(tip < s.fall, length + drop, _t_at(c, np.maximum(tip, s.fall)) * skull().length)
    q = rows[:, None] * total[None]
    on_skull = np.minimum(q, length[None])
    t = on_skull / skull().length
    opening = 0.0 if s.fringe is not None else s.opening
    opened = opening * step(front_t * 0.75, front_t * 1.55, t)
    sign = np.where(c >= 0, 1.0, -1.0)[None]
    azimuth = sign * (opened + (1 - opened / np.pi) * a[None])
    base = skull().surface(azimuth, t)
    along = rows[:, None] + 0 * q
    lift = _thickness(s, azimuth, along) * (0.45 + 0.55 * step(0.0, 0.12, rows)[:, None])
    lift = lift * (1 + 0.06 * rng.normal(size=len(c))[None])
    points = base + _outward(base) * lift[..., None]
    hang = np.maximum(q - length[None], 0)
    points[..., 1] -= hang
    share = np.clip(hang / np.maximum(drop, 1e-6)[None], 0, 1)
    flat = np.stack([points[..., 0], 0 * hang, points[..., 2] + 0.12], -1)
    inwards = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
    points -= inwards * (0.13 * share**2.5 - 0.05 * np.sin(np.pi * share))[..., None]
    wave = s.wave * np.sin(9 * q + 3 * np.cos(3 * c)[None]) * share
    points += inwards * wave[..., None]
    if s.fringe is not None:
        edge = step(0.95, 0.70, a)[None] * rows[:, None] ** 3
        points -= _outward(base) * (0.35 * lift * edge)[..., None]
    del y_line
    return points


@cache
def hair_sheet(name: str) -> Array | None:
    """(ROWS, COLUMNS, 3) template-space points of a style, None for a bald head. The first and last column meet at the
    parting."""
    s = style(name)
    if s is None:
        return None
    rng = np.random.default_rng(31)
    rows = np.linspace(0.0, 1, ROWS)
    c = np.linspace(-np.pi, np.pi, COLUMNS // 2 * 2 + 1)
    c = np.r_[c[: len(c) // 2], -1e-6, 1e-6, c[len(c) // 2 + 1 :]]
    sheet = _lying(s, c, rows, rng) if s.fall is None else _hanging(s, c, rows, rng)
    sheet[:, -1] = sheet[:, 0]  # the two ends meet at the back
    sheet[0] = sheet[0].mean(0)
    return sheet
