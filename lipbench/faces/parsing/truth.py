"""Exact labels of generated clips: the renderer knows what every pixel shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.parsing.types import Label, Parsing
from lipbench.faces.raster import SurfaceLabel as Drawn

_TABLE = np.full(256, 255, np.uint8)
_TABLE[Drawn.BACKGROUND] = Label.BACKGROUND
for _part in (Drawn.SKIN, Drawn.HAIR, Drawn.LIP, Drawn.MOUTH, Drawn.TEETH, Drawn.EYE, Drawn.EAR):
    _TABLE[_part] = Label.HEAD
_TABLE[Drawn.NECK], _TABLE[Drawn.CLOTH] = Label.NECK, Label.TORSO


def truth_parsing(drawn: NDArray[np.uint8]) -> Parsing:
    """Label maps of the renderer (`faces.raster.SurfaceLabel`; `RenderedShot.label`), (T, H, W) uint8 -> Parsing.

    Raises:
        UsageError: a label that the renderer does not have.
    """
    labels = _TABLE[drawn]
    if (labels == 255).any():
        raise UsageError(
            f"label {int(drawn[labels == 255][0])} is none of the renderer's",
            f"they are {', '.join(f'{int(part)} {part.name.lower()}' for part in Drawn)}",
            "give the maps as the renderer made them",
        )
    return Parsing(labels, "truth")
