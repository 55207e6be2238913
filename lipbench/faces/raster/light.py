"""Light: nine spherical-harmonic bands for the surroundings and one key light.

Band order and constants are those of AD-NeRF's renderer and of Ramamoorthi and Hanrahan, "An efficient representation
for irradiance environment maps" (2001): 1, y, z, x, xy, yz, 3z^2-1, xz, x^2-y^2, in camera axes (+z towards the
viewer).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

SH_CONSTANTS = (
    0.28209479177387814,
    0.4886025119029199,
    0.4886025119029199,
    0.4886025119029199,
    1.0925484305920792,
    1.0925484305920792,
    0.31539156525252005,
    1.0925484305920792,
    0.5462742152960396,
)


def sh9(normals: NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 3) unit normals -> (..., 9) real spherical harmonics up to order 2."""
    n = np.asarray(normals, np.float64)
    x, y, z = n[..., 0], n[..., 1], n[..., 2]
    terms = (np.ones_like(x), y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y)
    return np.stack([c * t for c, t in zip(SH_CONSTANTS, terms, strict=True)], -1)


def _studio() -> NDArray[np.float64]:
    sh = np.zeros((9, 3))
    sh[0] = (1.30, 1.28, 1.32)
    sh[1] = 0.20
    sh[2] = 0.26
    sh[3] = 0.06
    return sh


@dataclass(frozen=True)
class Light:
    """One set-up of light in linear units (1 = a white surface at full exposure).

    Attributes:
        sh: (9, 3) ambient radiance per band and color (RGB).
        direction: (3,) towards the key light, camera axes; need not be normalized.
        color: (3,) key light, RGB.
        shadows: whether the key light casts shadows.
    """

    sh: NDArray[np.float64] = field(default_factory=_studio)
    direction: NDArray[np.float64] = field(default_factory=lambda: np.array([0.45, 0.60, 0.75]))
    color: NDArray[np.float64] = field(default_factory=lambda: np.array([0.80, 0.75, 0.70]))
    shadows: bool = True

    @classmethod
    def sample(cls, rng: np.random.Generator, drama: float = 0.0) -> Light:
        """A pleasant random light. drama in [0, 1]: from even studio light to a low ambient with a strong side key."""
        side = rng.uniform(0.25, 0.75) * rng.choice([-1.0, 1.0]) * (1 + 0.6 * drama)
        direction = np.array([side, rng.uniform(0.35, 0.8), rng.uniform(0.65, 0.95) * (1 - 0.45 * drama)])
        warmth = rng.normal(0, 0.05 + 0.06 * drama)
        tint = np.array([1 + warmth, 1.0, 1 - warmth])
        sh = _studio() * (1 - 0.55 * drama) * rng.uniform(0.85, 1.1)
        sh[1:4] += rng.normal(0, 0.04 + 0.06 * drama, (3, 1))
        sh *= 2 - tint  # fill light is complementary to the key, as in film
        color = np.array([0.80, 0.77, 0.73]) * tint * rng.uniform(0.85, 1.1) * (1 + 0.55 * drama)
        return cls(sh, direction / np.linalg.norm(direction), color)
