"""Painting of one identity's texture atlas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.raster.surface import SurfaceLabel
from lipbench.synthetic.head import hair_styles
from lipbench.synthetic.head.atlas import REGIONS, SIZE
from lipbench.synthetic.head.canvas import Canvas, canvas, face_part
from lipbench.synthetic.head.identity import Color, Identity
from lipbench.synthetic.head.mouth import tooth_phase
from lipbench.synthetic.head.noise import lookup, noise
from lipbench.synthetic.head.relief import EYE_X, EYE_Y, MOUTH_Y, SUBNASALE_Y, TIP_Y
from lipbench.synthetic.head.shape import Array, bump, ridge, step


def _srgb_table() -> NDArray[np.uint8]:
    x = np.linspace(0, 1, 8192)
    y = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    return (y * 255 + 0.5).astype(np.uint8)


SRGB = _srgb_table()


class Paint:
    """Linear RGB, gloss and labels of one rectangle while it is painted; all changes are in place."""

    def __init__(self, rgb: Array, gloss: Array, label: NDArray[np.uint8]) -> None:
        self.rgb, self.gloss, self.label = rgb, gloss, label

    @classmethod
    def plain(cls, shape: tuple[int, ...], color: Color, gloss: float, label: SurfaceLabel) -> Paint:
        """One color all over."""
        rgb = np.empty((*shape, 3), np.float32)
        rgb[:] = color
        return cls(rgb, np.full(shape, gloss, np.float32), np.full(shape, int(label), np.uint8))

    def crop(self, rows: slice, columns: slice) -> Paint:
        """A view of a part; what is painted there is painted here."""
        return Paint(self.rgb[rows, columns], self.gloss[rows, columns], self.label[rows, columns])

    def mix(self, color: object, weight: Array) -> None:
        """Lay a color over by (...) weight in [0, 1]."""
        self.rgb += (np.asarray(color, np.float32) - self.rgb) * weight[..., None].astype(np.float32)

    def darken(self, weight: Array, warm: float = 0.6) -> None:
        """Multiply by 1 - weight; red less, by `warm`, as in a crease of skin."""
        w = weight.astype(np.float32)
        self.rgb[..., 0] *= 1 - warm * w
        self.rgb[..., 1] *= 1 - w
        self.rgb[..., 2] *= 1 - w


def _brow_weight(who: Identity, c: Canvas, grain: Array) -> Array:
    ax = np.abs(c.x)
    across = (ax - 0.305) / 0.195  # -1 inner end .. 1 outer end
    arch = 0.300 + 0.030 * np.clip(across + 0.9, 0, 1.5) - 0.052 * np.clip(across - 0.1, 0, 1) ** 2
    thick = (0.020 + 0.016 * who.brows) * (1 - 0.30 * across) * np.sqrt(np.clip(1 - across**2, 0, 1))
    off = (c.y - arch) / np.maximum(thick, 1e-3)
    body = np.clip(1.25 - off**2, 0, 1) * step(1.02, 0.90, np.abs(across))
    return body * np.clip(0.62 + 0.30 * who.brows + 0.15 * grain, 0, 1) * (c.z > 0.2)


def paint_skin(who: Identity, c: Canvas, face: tuple[slice, slice] | None = None) -> Paint:
    """Skin with brows, stubble, freckles and hairline for any rectangle of skin.

    Args:
        face: the part that holds the face, when it is not all of it.
    """
    seed = who.texture_seed
    paint = Paint.plain(c.x.shape, who.skin, 0.16, SurfaceLabel.SKIN)
    fine = lookup(noise(seed % 5, 512, 0.5), c.x * 1.7 + c.z, c.y * 1.7)
    soft = lookup(noise(seed % 7 + 10, 256, 2.2), c.x * 0.3 + 0.3, c.y * 0.3 + 0.1 * c.z)
    paint.rgb *= (1 + 0.014 * fine + 0.03 * soft)[..., None]
    if face is None:
        _face(who, c, paint, fine)
    else:
        _face(who, c.crop(*face), paint.crop(*face), fine[face])
    paint.label[(c.y + 0.55 * np.clip(c.z, 0, 1) < -0.72) & (c.z < 0.45)] = SurfaceLabel.NECK
    _hairline(who, c, paint)
    return paint


def _face(who: Identity, c: Canvas, paint: Paint, fine: Array) -> None:
    """What makes skin a face; `fine` is the skin's grain."""
    seed, ax = who.texture_seed, np.abs(c.x)
    front = step(0.0, 0.3, c.z)
    red = bump(ax, c.y, 0.40, -0.13, 0.20, 0.15) + 0.6 * bump(ax, c.y, 0, TIP_Y, 0.13, 0.10)
    red = (
        red + 0.3 * bump(ax, c.y, 0, -0.86, 0.25, 0.14) + 0.25 * bump(ax, c.y, EYE_X, EYE_Y - 0.08, 0.15, 0.05)
    ) * front
    paint.darken(0.13 * red * (1 + 0.9 * who.makeup), 0.12)
    if who.freckles:
        dots = step(1.2, 2.4, lookup(noise(seed % 3 + 30, 512, 0.9), c.x * 0.9, c.y * 0.9 + 0.4))
        zone = bump(ax, c.y, 0.30, -0.08, 0.30, 0.16) * front
        paint.darken(0.35 * who.freckles * dots * zone, 0.55)
    # Creases and hollows that the mesh is too coarse for.
    paint.darken(0.80 * bump(ax, c.y, 0.064, SUBNASALE_Y + 0.024, 0.030, 0.015) * front, 0.9)
    paint.darken(0.16 * bump(ax, c.y, 0.178, TIP_Y - 0.015, 0.022, 0.055) * front)
    fold = 0.175 + 0.40 * np.clip(-0.24 - c.y, 0, 1)
    lines = ridge(ax, fold, 0.018) * step(-0.56, -0.42, c.y) * step(-0.20, -0.30, c.y)
    paint.darken((0.03 + 0.14 * who.wrinkles) * lines * front)
    paint.darken((0.02 + 0.10 * who.wrinkles) * bump(ax, c.y, EYE_X - 0.03, EYE_Y - 0.105, 0.13, 0.022) * front)
    if who.wrinkles > 0.4:
        waves = np.clip(np.sin((c.y - 0.45 + 0.05 * ax**2) * 52), 0, 1) ** 6 * bump(ax, c.y, 0, 0.52, 0.36, 0.12)
        paint.darken(0.16 * (who.wrinkles - 0.4) * waves * front)
    if who.stubble:
        zone = step(-0.30, -0.52, c.y) * step(0.72, 0.50, ax) * step(-1.12, -1.0, c.y) * step(-0.2, 0.1, c.z)
        zone = np.maximum(zone, bump(ax, c.y, 0, -0.385, 0.24, 0.05) * front)
        zone *= 1 - np.exp(-((np.hypot(c.x / 0.29, (c.y - MOUTH_Y) / 0.115)) ** 6))
        paint.mix(np.array(who.hair) * 1.2, 0.55 * who.stubble * zone * np.clip(0.7 + 0.35 * fine, 0, 1))
    if who.makeup:
        shadow = bump(ax, c.y, EYE_X + 0.01, EYE_Y + 0.085, 0.15, 0.045) * front
        paint.darken(0.22 * who.makeup * shadow, 0.85)
    grain = lookup(noise(2, 512, 0.4), (ax * 0.5 + c.y) * 0.75, (c.y - 0.45 * ax) * 0.18)
    brows = _brow_weight(who, c, grain)
    paint.mix(np.array(who.hair) * 0.75 + 0.02 * np.array(who.skin), brows)
    paint.gloss *= 1 - 0.8 * brows
    paint.gloss += (
        0.10 * bump(ax, c.y, 0, TIP_Y + 0.04, 0.08, 0.10) * front + 0.05 * bump(ax, c.y, 0, 0.5, 0.3, 0.2) * front
    )


def _hairline(who: Identity, c: Canvas, paint: Paint) -> None:
    """Roots on the scalp: strands that start at the hairline."""
    style = hair_styles.style(who.hair_style)
    if style is None or style.top is not None:
        # A shaved or bald head shows where hair would grow.
        zone = step(-0.08, 0.16, c.y - hair_styles.hairline(hair_styles.Style(), c.alpha))
        paint.mix(np.array(who.hair), (0.07 + 0.18 * who.stubble) * zone)
        if style is None:
            return
    line = hair_styles.hairline(style, c.alpha)
    strands = lookup(noise(4, 512, 0.8), c.alpha * 0.40, c.y * 0.10)
    weight = step(-0.06, 0.06, c.y - line - 0.022 * strands)
    if style.top is not None:
        weight *= step(0.12, -0.10, c.y - style.top + 0.25 * np.cos(c.alpha))
    tone = 1 + 0.30 * lookup(noise(5, 512, 0.8), c.alpha * 0.45, c.y * 0.06)
    paint.mix(np.clip(np.array(who.hair) * 0.8 * tone[..., None], 0, 1), weight)
    paint.gloss *= 1 - weight
    paint.label[weight > 0.5] = SurfaceLabel.HAIR


def paint_mouth(who: Identity) -> Paint:
    """Lips and the skin of their loops."""
    c = canvas("mouth")
    paint = paint_skin(who, c)
    weight = 1 - step(0.93, 1.07, c.ring)
    folds = lookup(noise(6, 512, 0.6), c.theta * 1.6, c.ring * 0.12)
    color = np.array(who.lips) * (1 + 0.06 * folds[..., None])
    color = color * (0.80 + 0.22 * np.clip(c.ring, 0, 1))[..., None]
    color = color * (1 - 0.35 * who.makeup * np.array([0.15, 0.75, 0.55]))
    paint.mix(np.clip(color, 0, 1), weight)
    paint.gloss = paint.gloss * (1 - weight) + (0.34 + 0.3 * who.makeup) * weight
    paint.label[weight > 0.5] = SurfaceLabel.LIP
    # Shade in the corners.
    paint.darken(0.35 * np.abs(np.cos(c.theta)) ** 30 * step(1.3, 0.6, c.ring))
    return paint


def paint_lid(who: Identity, name: str) -> Paint:
    """The lids: a dark root of the lashes, a moist inner edge, the fold."""
    c = canvas(name)
    paint = paint_skin(who, c)
    upper = step(0.0, 0.25, np.sin(c.theta))
    root = ridge(c.ring, 2.0, 0.45)
    paint.darken(root * (0.30 + 0.45 * upper + 0.15 * who.makeup), 0.9)
    inner = step(1.7, 1.1, c.ring)
    paint.mix(np.array(who.lips) * 0.7 + np.array([0.22, 0.12, 0.10]), 0.75 * inner)
    paint.gloss += 0.3 * inner
    paint.darken(0.30 * ridge(c.ring, 4.1, 0.45) * upper)
    return paint


def paint_eye(who: Identity) -> Paint:
    """Sclera, iris, pupil in a plane of polar angle."""
    u, v = REGIONS["eye"].grid()
    polar = np.hypot(u - 0.5, v - 0.5) * 2 * np.pi * 0.62
    azimuth = np.arctan2(0.5 - v, u - 0.5)
    paint = Paint.plain(u.shape, (0.66, 0.63, 0.61), 1.0, SurfaceLabel.EYE)
    veins = lookup(noise(8, 256, 1.4), np.cos(azimuth) * 0.3 + polar * 0.1, np.sin(azimuth) * 0.3)
    paint.rgb *= 1 - (0.10 * step(0.6, 1.3, polar) + 0.02 * veins)[..., None] * np.array([0.3, 1, 1])
    rays = lookup(noise(9, 512, 0.7), azimuth / (2 * np.pi) * 2, polar * 0.12)
    iris = np.array(who.iris) * (1 + 0.30 * rays[..., None]) * (0.75 + 0.9 * step(0.20, 0.42, polar))[..., None]
    iris += np.array([0.05, 0.03, 0.01]) * ridge(polar, 0.26, 0.06)[..., None]
    weight = step(0.520, 0.475, polar)
    paint.mix(np.clip(iris, 0, 1), weight)
    paint.darken(0.70 * ridge(polar, 0.485, 0.045), 1.0)
    paint.rgb *= (1 - 0.97 * step(0.215, 0.185, polar))[..., None]
    return paint


def paint_teeth(lower: bool) -> Paint:
    u, v = REGIONS["teeth_l" if lower else "teeth_u"].grid()
    phase, number = tooth_phase(2 * u - 1, lower)
    paint = Paint.plain(u.shape, (0.80, 0.74, 0.62), 0.55, SurfaceLabel.TEETH)
    gap = np.minimum(phase, 1 - phase)
    paint.rgb *= (0.45 + 0.55 * step(0.0, 0.10, gap))[..., None]
    tip = 1 - v if lower else v
    paint.rgb *= (0.86 + 0.14 * step(0.0, 0.4, tip))[..., None] * (1 - 0.05 * number)[..., None]
    paint.mix((0.72, 0.72, 0.74), 0.35 * step(0.75, 1.0, tip))
    return paint


def paint_hair(who: Identity) -> Paint:
    """Strands; the gloss channel holds each strand's tilt (0.5 = none)."""
    u, v = REGIONS["hair"].grid()
    paint = Paint.plain(u.shape, who.hair, 0.5, SurfaceLabel.HAIR)
    seed = who.texture_seed
    coarse = lookup(noise(seed % 3 + 40, 512, 1.0), u * 1.0, v * 0.06)
    fine = lookup(noise(seed % 3 + 50, 512, 0.3), u * 2.0, v * 0.08)
    paint.rgb *= np.clip(1 + (0.24 * coarse + 0.20 * fine) * (1 - 0.5 * np.mean(who.hair)), 0.3, 2.2)[..., None]
    paint.rgb *= (0.75 + 0.25 * step(0.0, 0.3, v))[..., None]
    paint.gloss = np.clip(0.5 + 0.16 * fine + 0.12 * coarse, 0.05, 0.95)
    return paint


def paint_cloth(who: Identity) -> Paint:
    """Knitted or woven, in one of a few cuts."""
    u, v = REGIONS["cloth"].grid()
    paint = Paint.plain(u.shape, who.cloth, 0.03, SurfaceLabel.CLOTH)
    angle = 2 * np.pi * np.minimum(u, 1 - u)  # from the middle of the front
    if who.outfit == "stripes":
        paint.mix(who.trim, step(0.3, 0.5, np.sin(v * 75)) * step(0.15, 0.17, v))
    elif who.outfit == "ringer":
        paint.mix(who.trim, step(0.150, 0.142, v))
    elif who.outfit == "jacket":
        opening = 0.42 * step(0.62, 0.02, v)  # a deep V that shows the shirt
        shirt = step(0.03, -0.01, angle - opening)
        paint.mix(who.trim, shirt)
        paint.darken(0.35 * ridge(angle, opening + 0.03, 0.03) * step(0.65, 0.5, v), 1.0)
        paint.darken(0.30 * ridge(angle, 0.0, 0.012) * shirt, 1.0)
        lapel = opening + 0.20 * step(0.62, 0.30, v) * step(0.12, 0.20, v)
        paint.darken(0.30 * ridge(angle, lapel, 0.025) * step(0.62, 0.5, v) * step(0.14, 0.2, v), 1.0)
    weave = 1 + 0.035 * np.sin(u * 2 * np.pi * 220) * np.sin(v * 330)
    folds = lookup(noise(11, 256, 2.0), u * 2, v * 0.5)
    paint.rgb *= (weave * (1 + 0.025 * folds) * (1 - 0.12 * ridge(v, 0.135, 0.012)))[..., None]
    return paint


def _plain(
    name: str, color: tuple[float, float, float], gloss: float, label: SurfaceLabel, grain: float = 0.05
) -> Paint:
    u, v = REGIONS[name].grid()
    paint = Paint.plain(u.shape, color, gloss, label)
    paint.rgb *= (1 + grain * lookup(noise(12, 256, 0.8), u, v))[..., None]
    return paint


def paint_atlas(who: Identity) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(1536, 1024, 4) uint8 sRGB and gloss, and (1536, 1024) labels."""
    ear_u, ear_v = REGIONS["ear"].grid()
    ear = _plain("ear", who.skin, 0.12, SurfaceLabel.EAR, 0.02)
    ear.rgb *= 1 - 0.12 * np.array([0.1, 1, 1]) * np.ones_like(ear_u)[..., None]
    ear.darken(0.45 * step(0.32, 0.10, np.hypot(ear_u - 0.5, ear_v - 0.5)))
    bag = _plain("bag", (0.20, 0.050, 0.045), 0.10, SurfaceLabel.MOUTH)
    parts = {
        "head": paint_skin(who, canvas("head"), face_part()),
        "mouth": paint_mouth(who),
        "lid_l": paint_lid(who, "lid_l"),
        "lid_r": paint_lid(who, "lid_r"),
        "eye": paint_eye(who),
        "teeth_u": paint_teeth(False),
        "teeth_l": paint_teeth(True),
        "gum": _plain("gum", (0.46, 0.16, 0.15), 0.25, SurfaceLabel.MOUTH),
        "tongue": _plain("tongue", (0.46, 0.17, 0.16), 0.20, SurfaceLabel.MOUTH, 0.08),
        "bag": bag,
        "ear": ear,
        "cloth": paint_cloth(who),
        "hair": paint_hair(who),
        "lash": _plain("lash", (0.012, 0.009, 0.008), 0.05, SurfaceLabel.EYE),
    }
    texture = np.zeros((*SIZE, 4), np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    for name, paint in parts.items():
        where = REGIONS[name].slices
        texture[where][..., :3] = SRGB[(np.clip(paint.rgb, 0, 1) * (len(SRGB) - 1) + 0.5).astype(np.uint16)]
        texture[where][..., 3] = (np.clip(paint.gloss, 0, 1) * 255 + 0.5).astype(np.uint8)
        labels[where] = paint.label
    return texture, labels
