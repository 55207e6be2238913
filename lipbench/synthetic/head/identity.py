"""Who somebody is: shape, colors, hair, clothes; and a sampler of pleasant, distinct people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lipbench.synthetic.head.hair_styles import STYLES
from lipbench.synthetic.head.warps import DETAIL_MODES, WARPS

HAIR_STYLES = tuple(STYLES)
OUTFITS = ("plain", "stripes", "ringer", "jacket")
Color = tuple[float, float, float]

# Linear RGB. Skin from fair to deep, each with fitting lip colors; hair and irises by name.
SKINS: tuple[tuple[Color, Color], ...] = (
    ((0.76, 0.52, 0.42), (0.56, 0.24, 0.22)),
    ((0.70, 0.45, 0.34), (0.52, 0.22, 0.19)),
    ((0.62, 0.39, 0.27), (0.46, 0.19, 0.16)),
    ((0.50, 0.30, 0.19), (0.38, 0.15, 0.125)),
    ((0.37, 0.21, 0.13), (0.29, 0.115, 0.095)),
    ((0.25, 0.135, 0.08), (0.21, 0.085, 0.07)),
    ((0.15, 0.078, 0.046), (0.14, 0.058, 0.050)),
)
HAIRS: dict[str, Color] = {
    "black": (0.012, 0.010, 0.010),
    "dark brown": (0.035, 0.020, 0.013),
    "brown": (0.085, 0.048, 0.028),
    "chestnut": (0.130, 0.055, 0.028),
    "red": (0.260, 0.085, 0.030),
    "blond": (0.420, 0.270, 0.120),
    "grey": (0.300, 0.290, 0.280),
    "white": (0.600, 0.590, 0.570),
}
IRISES: dict[str, Color] = {
    "dark": (0.045, 0.022, 0.012),
    "brown": (0.110, 0.052, 0.022),
    "hazel": (0.160, 0.105, 0.040),
    "green": (0.120, 0.150, 0.070),
    "blue": (0.110, 0.200, 0.330),
    "grey": (0.190, 0.230, 0.260),
}


@dataclass(frozen=True)
class Identity:
    """One person.

    Attributes:
        name: free text.
        shape: (20,) coefficients of `warps.WARPS` in standard deviations.
        detail: (20,) coefficients of the random shape modes.
        skin: linear RGB in [0, 1].
        lips: linear RGB in [0, 1].
        hair: linear RGB in [0, 1].
        iris: linear RGB in [0, 1].
        cloth: linear RGB in [0, 1].
        trim: linear RGB in [0, 1]; the second color of the clothes.
        hair_style: one of `HAIR_STYLES`.
        outfit: one of `OUTFITS`.
        stubble: strength in [0, 1].
        freckles: strength in [0, 1].
        wrinkles: strength in [0, 1].
        makeup: strength in [0, 1].
        brows: strength in [0, 1].
        texture_seed: picks the skin's and hair's fine variation.
    """

    name: str = "average"
    shape: tuple[float, ...] = (0.0,) * len(WARPS)
    detail: tuple[float, ...] = (0.0,) * DETAIL_MODES
    skin: Color = SKINS[0][0]
    lips: Color = SKINS[0][1]
    hair: Color = HAIRS["brown"]
    iris: Color = IRISES["brown"]
    cloth: Color = (0.10, 0.14, 0.24)
    trim: Color = (0.62, 0.62, 0.60)
    hair_style: str = "short"
    outfit: str = "plain"
    stubble: float = 0.0
    freckles: float = 0.0
    wrinkles: float = 0.2
    makeup: float = 0.0
    brows: float = 0.7
    texture_seed: int = 0
    shape_by_name: dict[str, float] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape_by_name", dict(zip(WARPS, self.shape, strict=True)))

    def coefficients(self) -> np.ndarray:
        """(40,) identity coefficients of the procedural `MorphableModel`, in standard deviations."""
        return np.r_[self.shape, self.detail]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        out = asdict(self)
        del out["shape_by_name"]
        return out

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Identity:
        """What `to_dict` made, also after a round trip through JSON."""
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**plain)


def _vary(rng: np.random.Generator, color: Color, amount: float) -> Color:
    factor = np.exp(rng.normal(0, amount) + rng.normal(0, amount / 3, 3))
    r, g, b = (float(v) for v in np.clip(np.array(color) * factor, 0.004, 0.95))
    return r, g, b


def sample_identity(seed: int) -> Identity:
    """A plausible person. The same seed gives the same person everywhere."""
    rng = np.random.default_rng([0x11B, seed])
    feminine = bool(rng.random() < 0.5)
    age = float(rng.beta(1.6, 2.2))
    tone = float(rng.uniform(0, len(SKINS) - 1))
    low = min(int(tone), len(SKINS) - 2)
    mix = tone - low

    def blend(k: int) -> Color:
        r, g, b = (float((1 - mix) * p + mix * q) for p, q in zip(SKINS[low][k], SKINS[low + 1][k], strict=True))
        return r, g, b

    shape = np.clip(rng.normal(0, 1.0, len(WARPS)), -2.0, 2.0)
    index = {name: i for i, name in enumerate(WARPS)}
    lean = 0.8 if feminine else -0.5
    leaning = {
        "jaw": -0.8,
        "brow": -0.8,
        "chin": -0.5,
        "eye_size": 0.5,
        "lips": 0.5,
        "nose_projection": -0.4,
        "length": -0.4,
        "nose_width": -0.3,
    }
    for name, by in leaning.items():
        shape[index[name]] += by * lean
    if tone > 3.5:
        shape[index["lips"]] += 0.8
        shape[index["nose_width"]] += 0.6
    if rng.random() < 0.45 and tone > 1.0:
        pool = ["black", "black", "dark brown"]
    elif tone > 3.0:
        pool = ["black", "dark brown"]
    else:
        pool = ["dark brown", "brown", "brown", "chestnut", "blond", "red"]
    hair_name = str(rng.choice(pool))
    if age > 0.62:
        hair_name = str(rng.choice(["grey", "white", hair_name]))
    irises = ["dark", "brown"] if tone > 2.6 or hair_name == "black" else ["brown", "hazel", "green", "blue", "grey"]
    if feminine:
        styles = ["bob", "lob", "long", "long", "wavy", "wavy", "bun", "pixie"]
    else:
        styles = ["short", "short", "quiff", "side", "crop"] + (["receding", "bald"] if age > 0.45 else [])
    if tone > 3.0:
        styles += ["curly", "crop"] if not feminine else ["curly"]
    # Clothes: a gray of some depth, tinted more or less.
    depth, tint = rng.uniform(0.03, 0.45), rng.normal(0, 0.35, 3)
    cloth = np.clip(depth * np.exp(tint - tint.mean()), 0.015, 0.7)
    trim = np.clip(rng.choice([0.03, 0.62]) * np.exp(rng.normal(0, 0.08, 3)), 0.01, 0.75)
    skin, lips = _vary(rng, blend(0), 0.05), _vary(rng, blend(1), 0.05)
    makeup = float(rng.uniform(0.3, 1.0)) if feminine and rng.random() < 0.6 else 0.0
    return Identity(
        name=f"person-{seed}",
        shape=tuple(float(v) for v in shape),
        detail=tuple(float(v) for v in rng.normal(0, 1.0, DETAIL_MODES)),
        skin=skin,
        lips=lips,
        hair=_vary(rng, HAIRS[hair_name], 0.12),
        iris=_vary(rng, IRISES[str(rng.choice(irises))], 0.10),
        cloth=(float(cloth[0]), float(cloth[1]), float(cloth[2])),
        trim=(float(trim[0]), float(trim[1]), float(trim[2])),
        outfit=str(rng.choice(["plain", "plain", "stripes", "ringer", "jacket"])),
        hair_style=str(rng.choice(styles)),
        stubble=0.0 if feminine else float(rng.choice([0.0, 0.15, 0.35, 0.6])),
        freckles=float(rng.choice([0.0, 0.0, 0.4, 0.8])) if tone < 1.5 else 0.0,
        wrinkles=age,
        makeup=makeup,
        brows=float(rng.uniform(0.45, 0.8) if feminine else rng.uniform(0.65, 1.0)),
        texture_seed=int(rng.integers(0, 2**31)),
    )
