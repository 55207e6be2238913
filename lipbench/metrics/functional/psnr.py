"""PSNR of RGB frames, from the exact integer squared error."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.metrics.arrays import Frame, as_clips


def frame_psnr(prediction: Frame, reference: Frame, data_range: float = 255) -> float:
    """10 log10(data_range^2 / MSE) over all pixels and channels of two (H, W, 3) uint8 frames, dB; +inf when equal."""
    # Exact: OpenCV widens to integers. `np.mean((a - b) ** 2)` on uint8 wraps around and never falls below 28 dB.
    squared_error = cv2.norm(prediction, reference, cv2.NORM_L2SQR)
    if squared_error == 0:
        return math.inf
    return 10 * math.log10(data_range**2 * prediction.size / squared_error)


def mean_psnr(per_frame: NDArray[np.float64]) -> float:
    """The clip's PSNR: the mean over frames that differ; +inf when no frame does; NaN when none was measured.

    One untouched frame would make the plain mean infinite and hide all others; a cap would put an arbitrary constant
    in their place. NaN frames (not measured) are left out.
    """
    measured = per_frame[~np.isnan(per_frame)]
    finite = measured[np.isfinite(measured)]
    if len(finite):
        return float(finite.mean())
    return math.inf if len(measured) else math.nan


def psnr_per_frame(prediction: Frame, reference: Frame, data_range: float = 255) -> NDArray[np.float64]:
    """PSNR of every frame.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3).
        reference: the same of what it is compared to.
        data_range: the peak.

    Returns:
        (T,) dB, +inf where the frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
    """
    a, b = as_clips(prediction, reference)
    return np.array([frame_psnr(x, y, data_range) for x, y in zip(a, b, strict=True)])


def psnr(prediction: Frame, reference: Frame, data_range: float = 255) -> float:
    """Peak signal-to-noise ratio: mean of the per-frame PSNR of two clips.

    Not the PSNR of the pooled error, which is lower. Frames that are equal have an infinite PSNR: they are left out of
    the mean, unless all are.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3).
        reference: the same of what it is compared to.
        data_range: the peak.

    Returns:
        dB, higher is closer; +inf when all frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.

    Source:
        10 log10(data_range^2 / MSE) over all pixels and channels of a frame.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import psnr
        >>> gray = np.full((3, 16, 16, 3), 100, np.uint8)
        >>> round(psnr(gray + np.uint8(10), gray), 2)
        28.13
        >>> psnr(gray, gray)
        inf
    """
    return mean_psnr(psnr_per_frame(prediction, reference, data_range))
