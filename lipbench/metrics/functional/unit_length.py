"""Feature vectors of unit length, in one compiled pass: half the time of one pass for each step of it.

>>> out = np.empty((1, 1), np.float32)
>>> unit_length(np.array([[3, 4]], np.float32), np.array([1]), out)
>>> round(float(out[0, 0]), 6)
0.8
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lipbench.faces.raster.kernel import kernel


@kernel
def unit_length(x: Any, counting: Any, out: Any) -> None:
    """out[p] = x[p, counting] / (|x[p]| + 1e-10).

    Args:
        x: (P, C) float32.
        counting: (N,) int64, channels that are kept.
        out: (P, N) float32; is overwritten.
    """
    for p in range(len(x)):
        place, kept = x[p], out[p]
        total = np.float32(0)
        for c in range(len(place)):
            total += place[c] * place[c]
        length = np.sqrt(total) + np.float32(1e-10)
        for k in range(len(counting)):
            kept[k] = place[counting[k]] / length
