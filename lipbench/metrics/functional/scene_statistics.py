"""What BRISQUE and NIQE share: the image relative to its surroundings, and the shape of how such numbers are spread.

Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 21(12), 2012.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float64]
#: Side, px, and sigma of the Gaussian that tells what surrounds a pixel.
WINDOW, SIGMA = 7, 7 / 6
#: Shapes that a distribution may have; 1 is Laplace's, 2 a Gaussian.
SHAPES = np.arange(0.2, 10, 0.001)


def relative(gray: Image, least: float) -> Image:
    """(H, W) gray levels, each less the mean of its surroundings, over their deviation plus `least`.

    Beyond the border all is 0.
    """
    weights = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()

    def around(image: Image) -> Image:
        found = cv2.sepFilter2D(image, cv2.CV_64F, weights, weights, borderType=cv2.BORDER_CONSTANT)
        return np.asarray(found, np.float64)

    mean = around(gray)
    return (gray - mean) / (np.sqrt(np.abs(around(gray * gray) - mean * mean)) + least)


def moment_ratio(shape: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """E|x|^2 / E x^2 of a generalized Gaussian of that shape.

    Examples:
        >>> from lipbench.metrics.functional.scene_statistics import moment_ratio
        >>> round(float(moment_ratio(2.0)), 4)  # a normal distribution: 2 / pi
        0.6366
    """
    from scipy.special import gamma

    found: NDArray[np.float64] = np.asarray(gamma(2 / shape) ** 2 / (gamma(1 / shape) * gamma(3 / shape)))
    return found


@cache
def _ratios() -> NDArray[np.float64]:
    return moment_ratio(SHAPES)


def sides(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Root mean square of the negative values and of the others, and the moment ratio that their shape must have."""
    squares, negative = values * values, values < 0
    left = float(np.sqrt(squares[negative].mean())) if negative.any() else 0.0
    right = float(np.sqrt(squares[~negative].mean())) if not negative.all() else 0.0
    if left + right == 0:
        return 0.0, 0.0, float("nan")
    ratio = np.abs(values).mean() ** 2 / squares.mean()
    skew = (left**3 + right**3) * (left + right) / (left**2 + right**2) ** 2
    return left, right, float(ratio * skew)


def nearest_shape(ratio: float) -> float:
    """The shape whose moment ratio is closest, of `SHAPES`; the smallest where no ratio is given (a flat image)."""
    return float(SHAPES[0] if np.isnan(ratio) else SHAPES[np.argmin((_ratios() - ratio) ** 2)])
