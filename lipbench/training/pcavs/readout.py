"""How far a mouth is open, read off its image: ridge regression on true images whose lips are known.

Good enough to correlate over one clip, where person, light and colors stay.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lipbench.training.pcavs.clips import EDGE, PcAvsTrainingClip
from lipbench.training.pcavs.data import opening

_GRID = 14  # px, of the mouth images
_RIDGE = 0.02  # of the mean squared brightness


class Readout:
    """Calling it gives (N,) px, less an unknown constant, of (N, 3, S, S) images in [-1, 1].

    Args:
        talks: to learn from.
        size: of the images.
        region: top, bottom, left, right of the mouth, of their width.
    """

    def __init__(
        self, talks: Sequence[PcAvsTrainingClip], size: int, region: tuple[float, float, float, float]
    ) -> None:
        self.box = [round(size * x) for x in region]
        box = [round(EDGE * x) for x in region]
        rows, wanted = [], []
        for talk in talks:
            for tag in talk.languages:
                seen = np.stack([_small(f.mean(-1) / 127.5 - 1, box) for f in talk.faces[tag]])
                known = opening(talk.lips[tag][talk.at])
                rows.append(seen - seen.mean(0))
                wanted.append(known - known.mean())
        x, y = np.concatenate(rows), np.concatenate(wanted)
        square = x.T @ x
        ridge = _RIDGE * np.trace(square) / len(square)
        self.weight = np.linalg.solve(square + ridge * np.eye(len(square)), x.T @ y)

    def __call__(self, images: Tensor) -> NDArray[np.float64]:
        gray = images.mean(1).cpu().numpy()
        return np.stack([_small(g, self.box) for g in gray]) @ self.weight


def _small(gray: NDArray[np.floating], box: Sequence[int]) -> NDArray[np.float64]:
    part = np.ascontiguousarray(gray[box[0] : box[1], box[2] : box[3]], np.float32)
    return np.asarray(cv2.resize(part, (_GRID, _GRID), interpolation=cv2.INTER_AREA), np.float64).ravel()
