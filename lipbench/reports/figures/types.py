"""What a contact sheet is before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.reports.figures.moments import Moment


@dataclass(frozen=True)
class SheetRow:
    """One line of images: `images` has one (H, W, 3) uint8 per column, None where there is none."""

    title: str
    images: tuple[NDArray[np.uint8] | None, ...]


@dataclass(frozen=True)
class Sheet:
    """A contact sheet.

    Attributes:
        title: clip and language, with what is said when the columns have no sounds.
        columns: moments, left to right; their labels stand above the images.
        notes: what is missing and why.
    """

    title: str
    columns: tuple[Moment, ...]
    rows: tuple[SheetRow, ...]
    notes: tuple[str, ...] = ()
