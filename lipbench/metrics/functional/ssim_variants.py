"""SSIM as other code computes it: numbers of their own, each under its own name, none of them `ssim`.

    uniform     7 x 7 window of equal weights, sample covariance, windows inside the image: scikit-image's default
    gray        the window of Wang et al. on the gray image (OpenCV's rounded luma)
    padded      the window of Wang et al. over the image with five zeros around it, mean over all pixels: the loss of
                3D Gaussian splatting, which its forks report as SSIM

On one pair of frames they span 0.03 and more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.metrics.arrays import Frame, as_clips
from lipbench.metrics.functional.ssim import K1, K2, SIGMA, WINDOW

#: Side of the uniform window, px.
UNIFORM = 7

Image = NDArray[np.float64]


def _gaussian(image: Image) -> Image:
    found: NDArray[Any] = cv2.GaussianBlur(image, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_CONSTANT)
    return found


def _zero_padded(image: Image) -> Image:
    edge = WINDOW // 2
    padded = np.pad(image, ((edge, edge), (edge, edge), (0, 0)))
    blurred: NDArray[Any] = cv2.GaussianBlur(padded, (WINDOW, WINDOW), SIGMA, borderType=cv2.BORDER_REFLECT)
    return blurred[edge:-edge, edge:-edge]


def _uniform(image: Image) -> Image:
    found: NDArray[Any] = cv2.blur(image, (UNIFORM, UNIFORM), borderType=cv2.BORDER_REFLECT)
    return found


def _map(a: Image, b: Image, mean: Callable[[Image], Image], covariance: float = 1.0) -> Image:
    """SSIM at every pixel of two images in 0..255."""
    c1, c2 = (K1 * 255) ** 2, (K2 * 255) ** 2
    mu_a, mu_b = mean(a), mean(b)
    var_a, var_b = covariance * (mean(a * a) - mu_a**2), covariance * (mean(b * b) - mu_b**2)
    cov = covariance * (mean(a * b) - mu_a * mu_b)
    return (2 * mu_a * mu_b + c1) * (2 * cov + c2) / ((mu_a**2 + mu_b**2 + c1) * (var_a + var_b + c2))


def frame_ssim_uniform(prediction: Frame, reference: Frame) -> float:
    """`ssim_uniform` of two (H, W, 3) uint8 frames of at least 7 x 7 px."""
    n = UNIFORM**2
    found = _map(prediction.astype(np.float64), reference.astype(np.float64), _uniform, n / (n - 1))
    edge = UNIFORM // 2
    return float(found[edge:-edge, edge:-edge].mean())


def frame_ssim_gray(prediction: Frame, reference: Frame) -> float:
    """`ssim_gray` of two (H, W, 3) uint8 frames of at least 11 x 11 px."""
    a, b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float64) for frame in (prediction, reference))
    edge = WINDOW // 2
    return float(_map(a, b, _gaussian)[edge:-edge, edge:-edge].mean())


def frame_ssim_padded(prediction: Frame, reference: Frame) -> float:
    """`ssim_padded` of two (H, W, 3) uint8 frames of any size."""
    return float(_map(prediction.astype(np.float64), reference.astype(np.float64), _zero_padded).mean())


def _mean(one: Callable[[Frame, Frame], float], smallest: int, prediction: Frame, reference: Frame) -> float:
    a, b = as_clips(prediction, reference)
    if min(a.shape[1:3]) < smallest:
        raise Unsupported(
            f"frames of {a.shape[2]} x {a.shape[1]} px have no such SSIM",
            f"its window is {smallest} x {smallest} px",
            "compare larger frames, or use PSNR",
        )
    return float(np.mean([one(x, y) for x, y in zip(a, b, strict=True)]))


def ssim_uniform(prediction: Frame, reference: Frame) -> float:
    """SSIM with a 7 x 7 window of equal weights and sample covariance on RGB, mean over frames.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), H and W at least 7.
        reference: the same of what it is compared to.

    Returns:
        -1 to 1, higher is closer.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames smaller than the window.

    Source:
        `skimage.metrics.structural_similarity(a, b, channel_axis=-1)` of scikit-image, with its defaults.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import ssim_uniform
        >>> noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        >>> round(ssim_uniform(noise, noise), 12)
        1.0
    """
    return _mean(frame_ssim_uniform, UNIFORM, prediction, reference)


def ssim_gray(prediction: Frame, reference: Frame) -> float:
    """SSIM of the gray images with the window of Wang et al., mean over frames.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3), H and W at least 11.
        reference: the same of what it is compared to.

    Returns:
        -1 to 1, higher is closer.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: frames smaller than the window.

    Source:
        Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 13(4), 2004, on luminance; luma as `cv2.COLOR_RGB2GRAY` rounds it.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import ssim_gray
        >>> noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        >>> round(ssim_gray(noise, noise[..., ::-1]), 1) < 1  # the same pixels in other colors
        True
    """
    return _mean(frame_ssim_gray, WINDOW, prediction, reference)


def ssim_padded(prediction: Frame, reference: Frame) -> float:
    """SSIM with the window of Wang et al. over images with zeros around them, on RGB, mean over all pixels and frames.

    Args:
        prediction: uint8 RGB, (H, W, 3) or (T, H, W, 3).
        reference: the same of what it is compared to.

    Returns:
        -1 to 1, higher is closer.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.

    Source:
        The loss of graphdeco-inria/gaussian-splatting (`utils/loss_utils.py`), itself after Po-Hsun Su's pytorch-ssim.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import ssim_padded
        >>> noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        >>> round(ssim_padded(noise, noise), 12)
        1.0
    """
    return _mean(frame_ssim_padded, 1, prediction, reference)
