"""Hair: a sheet of strands that starts at the crown, parts over the face and ends at the hairline or hangs free.

The sheet is a grid of its own, added after the template's vertices. Columns are strands, rows run from root to tip.
Column parameter c in [-pi, pi]; its two halves meet at the parting in front and at the back of the head.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from lipbench.synthetic.head.hair_styles import Style, hairline, style
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.skull import skull

ROWS, COLUMNS = 34, 120
EAR_AZIMUTH = 1.72


def _outward(points: Array) -> Array:
    """(..., 3) unit directions away from the middle of the skull."""
    middle = np.stack([0 * points[..., 0], np.clip(points[..., 1], -0.3, 0.35), 0 * points[..., 0] - 0.12], -1)
    d = points - middle
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


def _thickness(s: Style, azimuth: Array, height: Array) -> Array:
    """Thickness over the crown, and further down according to the azimuth."""
    crown, front, side, back = s.thickness
    a = np.abs(azimuth)
    around = front * step(1.15, 0.55, a) + side * step(0.55, 1.15, a) * step(2.5, 1.7, a) + back * step(1.7, 2.5, a)
    top = step(0.75, 1.15, height)
    return crown * top + around * (1 - top)


def _curls(points: Array, size: float) -> Array:
    """(...) smooth bumps in [-1, 1] for curly hair."""
    rng = np.random.default_rng(5)
    total = np.zeros(points.shape[:-1])
    for _ in range(24):
        wave = rng.normal(size=3)
        wave *= 2 * np.pi / (size * np.linalg.norm(wave))
        total += np.cos(points @ wave + rng.uniform(0, 2 * np.pi))
    return np.tanh(total / 4)


def _lying(s: Style, c: Array, rows: Array, rng: np.random.Generator) -> Array:
    """Hair that ends at the hairline."""
    sweep = s.sweep * np.cos(c / 2)
    end = skull().at_height(c + sweep, hairline(s, c + sweep)) * (1 + rng.normal(0, 0.005, len(c)))
    if s.top is None:
        start = np.zeros(len(c))
    else:  # bald on top: the sheet is a wreath
        start = np.minimum(skull().at_height(c, np.full(len(c), s.top) - 0.25 * np.cos(c)), end)
    # Rows are denser at the end, where the sheet turns down to the skin.
    along = 1 - (1 - rows) ** 1.5
    t = start + (end - start) * along[:, None]
    azimuth = c[None] + sweep[None] * along[:, None]
    base = skull().surface(azimuth, t)
    blunt = 5 + s.blunt * step(1.1, 0.5, np.abs(c))[None]
    body = 1 - along[:, None] ** blunt
    if s.top is not None:
        present = step(0.0, 0.08, end - start)[None]
        body = body * step(0.0, 0.35, along)[:, None] * present - 0.8 * (1 - present)
    strands = 1 + 0.08 * rng.normal(size=len(c))[None] * step(0.1, 0.6, along)[:, None]
    lift = _thickness(s, azimuth, base[..., 1]) * body * strands
    if s.curl:
        lift = lift * (1 + 0.55 * s.curl * _curls(base, 0.22)) + 0.02 * s.curl * _curls(base, 0.09) * body
    lift = lift + 0.018 * body - 0.016 * step(0.90, 1.0, along)[:, None]
    # A quiff: hair over the forehead stands up and leans forward.
    rise = s.quiff * step(0.55, 0.92, along)[:, None] * step(0.95, 0.3, np.abs(c))[None] * body
    points = base + _outward(base) * lift[..., None]
    points[..., 1] += 0.9 * rise
    points[..., 2] += 0.5 * rise
    return points


def _hanging(s: Style, c: Array, rows: Array, rng: np.random.Generator) -> Array:
    """Hair that leaves the skull and hangs; over the face it parts, or ends as a fringe."""
    assert s.fall is not None
    a = np.abs(c)
    front_t = float(skull().at_height(np.zeros(1), np.full(1, s.line[0]))[0])
    fall_t = skull().at_height(c, np.full(len(c), s.fall))
    tip = s.tip[0] + (s.tip[1] - s.tip[0]) * step(1.2, 2.8, a) + rng.normal(0, 0.012, len(c))
    if s.fringe is not None:
        over_face = step(0.95, 0.70, a)
        tip = tip * (1 - over_face) + (s.fringe + rng.normal(0, 0.010, len(c)) - 0.05 * a) * over_face
    drop = np.maximum(s.fall - tip, 0)
    length = fall_t * skull().length
    total = np.where(tip < s.fall, length + drop, skull().at_height(c, np.maximum(tip, s.fall)) * skull().length)
    q = rows[:, None] * total[None]
    soft = 0.10  # dm over which a strand leaves the skull
    on_skull = np.maximum(length[None] - soft * np.log1p(np.exp((length[None] - q) / soft)), 0)  # smooth minimum
    t = on_skull / skull().length

    # The two edges of the sheet run from the parting to either side of the face.
    opened = step(front_t * 0.97, front_t * 1.75, t) if s.fringe is None else np.zeros_like(t)
    right = s.part + (s.opening - s.part) * opened
    left = s.part - (s.opening + s.part) * opened
    if s.fringe is not None:
        right = left = 0 * t
    positive = (c >= 0)[None]
    azimuth = np.where(positive, right + (np.pi - right) * a / np.pi, left - (np.pi + left) * a / np.pi)
    base = skull().surface(azimuth, t)
    lift = _thickness(s, azimuth, base[..., 1]) * (0.55 + 0.45 * step(0.0, 0.12, rows)[:, None])
    lift = lift * (1 + 0.05 * rng.normal(size=len(c))[None])
    ear = np.exp(-(((np.abs(azimuth) - EAR_AZIMUTH) / 0.40) ** 2) - ((base[..., 1] - s.fall) / 0.30) ** 2)
    lift = lift + 0.050 * ear
    points = base + _outward(base) * lift[..., None]
    hang = q - on_skull
    points[..., 1] -= hang
    share = np.clip(hang / np.maximum(drop, 0.3)[None], 0, 1)
    flat = np.stack([points[..., 0], 0 * hang, points[..., 2] + 0.12], -1)
    out = flat / np.maximum(np.linalg.norm(flat, axis=-1, keepdims=True), 1e-6)
    points -= out * (s.tuck * share**2.5 - 0.05 * np.sin(np.pi * share))[..., None]
    points += out * (s.wave * np.sin(8 * q + 2.5 * np.cos(3 * c)[None]) * step(0.0, 0.3, share))[..., None]
    if s.fringe is not None:
        edge = step(0.95, 0.70, a)[None] * rows[:, None] ** 3
        points -= _outward(base) * (0.35 * lift * edge)[..., None]
    return points


def _knot(rng: np.random.Generator) -> Array:
    """(ROWS, COLUMNS, 3) a bun at the back of the head."""
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, ROWS), np.linspace(0, 2 * np.pi, COLUMNS), indexing="ij")
    azimuth = -azimuth
    twist = azimuth + 1.6 * polar
    radius = 0.27 * (1 + 0.05 * np.cos(3 * twist) + 0.02 * np.cos(11 * twist))
    local = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), -np.cos(polar)], -1)
    return np.array([0.0, 0.62, -1.02]) + radius[..., None] * local * np.array([1.0, 0.92, 0.8])


@cache
def hair_sheets(name: str) -> tuple[Array, ...]:
    """(ROWS, COLUMNS, 3) template-space sheets of a style, none for a bald head."""
    s = style(name)
    if s is None:
        return ()
    rng = np.random.default_rng(31)
    rows = np.linspace(0.0, 1, ROWS)
    half = COLUMNS // 2
    c = np.r_[np.linspace(-np.pi, -1e-6, half), np.linspace(1e-6, np.pi, half)]
    sheet = _lying(s, c, rows, rng) if s.fall is None else _hanging(s, c, rows, rng)
    sheet[:, -1] = sheet[:, 0]  # the two halves meet at the back
    if s.top is None:
        sheet[0] = sheet[0].mean(0)
    if s.fall is None or s.fringe is not None:  # no parting: the halves meet in front too
        sheet[:, half] = sheet[:, half - 1]
    return (sheet, _knot(rng)) if s.knot else (sheet,)
