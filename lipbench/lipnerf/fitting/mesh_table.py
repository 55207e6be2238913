"""FaceMesh points -> vertices of models whose topology is known (so far the procedural head)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable import MorphableModel


@dataclass(frozen=True)
class Table:
    """track: (L,) FaceMesh points, vertex: (L,) model vertices, weight: (L,) relative precision."""

    track: NDArray[np.int64]
    vertex: NDArray[np.int64]
    weight: NDArray[np.float64]


def table_for(model: MorphableModel) -> Table | None:
    """The dense correspondence of a model, None when there is none."""
    return None
