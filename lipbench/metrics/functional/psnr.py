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


def squared_error(prediction: Frame, reference: Frame) -> float:
    """Mean squared error over all pixels and channels of two (H, W, 3) uint8 frames, exact."""
    return float(cv2.norm(prediction, reference, cv2.NORM_L2SQR)) / prediction.size


def psnr_of_error(error: float) -> float:
    """PSNR of a mean squared error of 8-bit pixels, dB; +inf for 0."""
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def psnr_pooled(prediction: Frame, reference: Frame) -> float:
    """PSNR of the squared error pooled over a clip; frames that are equal count.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3).
        reference: the same of what it is compared to.

    Returns:
        dB, higher is closer, never above the mean of the frames' PSNR; +inf when all frames are equal.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.

    Source:
        10 log10(255^2 / MSE), MSE over all pixels, channels and frames.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import psnr, psnr_pooled
        >>> still = np.full((2, 16, 16, 3), 100, np.uint8)
        >>> moved = still + np.array([2, 20], np.uint8)[:, None, None, None]
        >>> round(psnr(moved, still), 2), round(psnr_pooled(moved, still), 2)
        (32.11, 25.08)
    """
    a, b = as_clips(prediction, reference)
    return psnr_of_error(float(np.mean([squared_error(x, y) for x, y in zip(a, b, strict=True)])))


def psnr_wrapped(prediction: Frame, reference: Frame) -> float:
    """PSNR as code prints it that subtracts and squares in uint8: both wrap at 256. 100 for equal frames.

    Differences of 16 gray levels square to 0, and noise of any size has about 28 dB: it is here because published
    numbers are made so, not to be used.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3).
        reference: the same of what it is compared to.

    Returns:
        dB, mean over frames.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.

    Source:
        Sxjdwang/TalkLip, `evaluation/visual_quality.py`.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import psnr, psnr_wrapped
        >>> gray = np.full((16, 16, 3), 100, np.uint8)
        >>> round(psnr(gray + np.uint8(17), gray), 2), round(psnr_wrapped(gray + np.uint8(17), gray), 2)
        (23.52, 32.95)
    """
    a, b = as_clips(prediction, reference)
    return float(np.mean([frame_psnr_wrapped(x, y) for x, y in zip(a, b, strict=True)]))


def frame_psnr_wrapped(prediction: Frame, reference: Frame) -> float:
    """`psnr_wrapped` of two (H, W, 3) uint8 frames."""
    gap = reference - prediction
    error = float(np.mean(gap * gap))
    return 100.0 if error == 0 else psnr_of_error(error)
