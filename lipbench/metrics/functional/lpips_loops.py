"""What LPIPS does between its convolutions on a CPU, each a compiled pass over pictures with their channels last.

>>> out = np.empty((1, 1), np.float32)
>>> unit_length(np.array([[3, 4]], np.float32), np.array([1]), out)
>>> round(float(out[0, 0]), 6)
0.8
>>> largest, picture = np.empty((1, 1, 1, 1), np.float32), np.arange(9, dtype=np.float32).reshape(1, 3, 3, 1)
>>> halve(picture, largest)
>>> float(largest[0, 0, 0, 0])
8.0
>>> distance(np.array([[1, 0]], np.float32), np.array([[0, 2]], np.float32), np.array([1, 0.5], np.float32))
3.0
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


@kernel
def halve(x: Any, out: Any) -> None:
    """The largest of 3 x 3 pixels, every second one down and across: `nn.MaxPool2d(3, stride=2)`, exactly.

    Args:
        x: (N, H, W, C) float32.
        out: (N, (H - 1) // 2, (W - 1) // 2, C) float32; is overwritten.
    """
    pictures, height, width, _ = out.shape
    for i in range(pictures):
        for row in range(height):
            for column in range(width):
                found = out[i, row, column]
                for j in range(3):
                    line = x[i, 2 * row + j]
                    a, b, c = line[2 * column], line[2 * column + 1], line[2 * column + 2]
                    if j == 0:
                        for k in range(len(found)):
                            found[k] = max(max(a[k], b[k]), c[k])
                    else:
                        for k in range(len(found)):
                            found[k] = max(found[k], max(max(a[k], b[k]), c[k]))


@kernel
def distance(x: Any, y: Any, weights: Any) -> float:
    """Mean over places of the weighted squared differences.

    Args:
        x: (P, N) float32.
        y: (P, N) float32.
        weights: (N,) float32.
    """
    total = 0.0
    for p in range(len(x)):
        mine, theirs = x[p], y[p]
        place = np.float32(0)
        for k in range(len(weights)):
            apart = mine[k] - theirs[k]
            place += weights[k] * (apart * apart)
        total += float(place)
    return total / len(x)
