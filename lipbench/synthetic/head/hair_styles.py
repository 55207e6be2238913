"""The hair styles and their hairlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from lipbench.core.errors import UsageError
from lipbench.synthetic.head.shape import Array

#: Azimuths at which hairlines are given: forehead, temples, sideburn (1.25), ear (1.7), nape (pi).
AZIMUTH = np.array([0.0, 0.35, 0.65, 0.88, 1.06, 1.22, 1.42, 1.70, 2.10, 2.60, np.pi])
Line = tuple[float, float, float, float, float, float, float, float, float, float, float]
MASCULINE: Line = (0.84, 0.86, 0.83, 0.64, 0.36, -0.02, 0.10, 0.20, -0.30, -0.50, -0.56)
FEMININE: Line = (0.86, 0.84, 0.76, 0.60, 0.38, 0.10, 0.14, 0.16, -0.32, -0.54, -0.60)


@dataclass(frozen=True)
class Style:
    """One hair style.

    Attributes:
        line: heights y of the hairline at `AZIMUTH`.
        thickness: of the sheet over crown, front, sides, back, dm.
        fall: y at which strands leave the skull and hang; None for hair that ends at the hairline.
        tip: y of the tips at the sides and at the back (hanging hair).
        opening: half angle of the face's opening (hanging hair).
        fringe: y at which strands over the forehead end (hanging hair); None for a parting without fringe.
        part: azimuth of the parting (hanging hair).
        sweep: sideways shift of strands on the way down, radians (lying hair).
        blunt: how abruptly the front ends (lying hair).
        quiff: height to which hair over the forehead stands up, dm.
        curl: strength of curls in [0, 1] (lying hair).
        wave: amplitude of waves, dm (hanging hair).
        tuck: how far tips bend inwards, dm (hanging hair).
        top: y above which the head is bald (lying hair); None when the crown is covered.
        knot: whether there is a bun.
    """

    line: Line = MASCULINE
    thickness: tuple[float, float, float, float] = (0.085, 0.085, 0.050, 0.060)
    fall: float | None = None
    tip: tuple[float, float] = (-0.7, -0.8)
    opening: float = 1.15
    fringe: float | None = None
    part: float = 0.0
    sweep: float = 0.0
    blunt: float = 0.0
    quiff: float = 0.0
    curl: float = 0.0
    wave: float = 0.0
    tuck: float = 0.13
    top: float | None = None
    knot: bool = False


STYLES: dict[str, Style | None] = {
    "short": Style(thickness=(0.100, 0.120, 0.045, 0.055), blunt=10, quiff=0.05, sweep=0.12),
    "crop": Style(thickness=(0.030, 0.030, 0.022, 0.025), blunt=6),
    "quiff": Style(thickness=(0.120, 0.140, 0.035, 0.050), blunt=16, quiff=0.14),
    "side": Style(thickness=(0.115, 0.140, 0.055, 0.065), blunt=12, quiff=0.06, sweep=0.45),
    "curly": Style(thickness=(0.170, 0.170, 0.110, 0.120), blunt=8, curl=0.8),
    "receding": Style(thickness=(0.050, 0.050, 0.040, 0.045), top=0.78),
    "bald": None,
    "bun": Style(line=FEMININE, thickness=(0.055, 0.055, 0.045, 0.050), blunt=3, knot=True),
    "pixie": Style(line=FEMININE, thickness=(0.110, 0.120, 0.075, 0.075), blunt=5, sweep=0.65),
    "bob": Style(
        line=FEMININE, fall=0.10, tip=(-0.80, -0.85), thickness=(0.085, 0.085, 0.110, 0.110), opening=1.10, fringe=0.38
    ),
    "lob": Style(
        line=FEMININE,
        fall=0.12,
        tip=(-1.00, -1.05),
        thickness=(0.085, 0.085, 0.105, 0.105),
        opening=0.98,
        part=0.28,
        tuck=0.10,
    ),
    "long": Style(
        line=FEMININE, fall=0.12, tip=(-1.50, -1.60), thickness=(0.080, 0.080, 0.105, 0.110), opening=1.00, tuck=0.08
    ),
    "wavy": Style(
        line=FEMININE,
        fall=0.15,
        tip=(-1.35, -1.45),
        thickness=(0.095, 0.095, 0.115, 0.115),
        opening=0.99,
        part=-0.25,
        wave=0.030,
        tuck=0.02,
    ),
}


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
    return PchipInterpolator(AZIMUTH, s.line)(np.abs(azimuth))
