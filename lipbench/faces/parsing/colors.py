"""Color models: histograms that say how likely a color is in a part of the image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

#: Bins of lightness, and of the two chroma axes of CIE Lab: light changes within a part, its hue hardly does.
BINS = (16, 32, 32)
_SHIFT = (4, 3, 3)
N_BINS = BINS[0] * BINS[1] * BINS[2]


def bins(frame: NDArray[np.uint8]) -> NDArray[np.int32]:
    """(H, W, 3) uint8 RGB -> (H, W) number of the color's bin."""
    lab = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2LAB), np.uint8)
    lightness, a, b = (lab[..., k] >> _SHIFT[k] for k in range(3))
    return (lightness.astype(np.int32) * BINS[1] + a) * BINS[2] + b


class Histogram:
    """Counts of colors, smoothed into a density over all bins."""

    def __init__(self) -> None:
        self.counts = np.zeros(N_BINS)

    def add(self, image: NDArray[np.int32], weight: NDArray[np.floating]) -> None:
        """Count an image of bins (H, W) with weights (H, W)."""
        chosen = weight > 0
        self.counts += np.bincount(image[chosen], weight[chosen], N_BINS)

    @property
    def total(self) -> float:
        """Pixels counted."""
        return float(self.counts.sum())

    def density(self, floor: float = 0.02) -> NDArray[np.float32]:
        """(N_BINS,) probability of each bin; `floor` of the mass is spread evenly over the bins of normal colors."""
        spread = gaussian_filter(self.counts.reshape(BINS), (1.0, 0.8, 0.8), mode="nearest").reshape(-1)
        if spread.sum() > 0:
            spread = spread / spread.sum()
        return (spread * (1 - floor) + floor / 1500).astype(np.float32)
