"""Filling holes smoothly: a pyramid from known pixels down to the coarsest level that knows something, and back."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_RELAX = 2  # passes of the discrete Laplace equation on each level on the way up


def smooth_fill(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """An approximately harmonic continuation of the known pixels into the others, in linear time.

    Args:
        image: (H, W) or (H, W, C) float32; values where nothing is known do not matter.
        known: (H, W) bool.

    Returns:
        the image with its unknown pixels filled, zeros when nothing is known at all.
    """
    flat = image.reshape(*known.shape, -1)
    if known.all():
        return image.copy()
    weight = known.astype(np.float32)
    start = _over(np.asarray(flat, np.float32), known, np.zeros(flat.shape, np.float32))
    return _fill(start, weight).reshape(image.shape)


def _fill(image: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = weight.shape
    known = weight > 0
    if known.all() or not known.any() or min(height, width) < 2:
        return _any(image, known)
    size = ((width + 1) // 2, (height + 1) // 2)
    small_weight = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    small = _channels(cv2.resize(image * weight[..., None], size, interpolation=cv2.INTER_AREA))
    small = _channels(small / np.maximum(small_weight, 1e-6)[..., None])
    coarse = _fill(small, (small_weight > 1e-4).astype(np.float32))
    out = _over(image, known, _channels(cv2.resize(coarse, (width, height))))
    for _ in range(_RELAX):
        out = _over(image, known, _channels(cv2.blur(out, (3, 3))))
    return out


def _over(image: NDArray[np.float32], known: NDArray[np.bool_], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """The known pixels of an image (h, w, C), the others of another: written into that, which is several times as fast
    as to choose."""
    return _channels(cv2.copyTo(image, known.view(np.uint8), other))


def _any(image: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Unknown pixels of a tiny image get the mean of the known ones."""
    if known.any() and not known.all():
        return np.where(known[..., None], image, image[known].mean(0))
    return image


def _channels(image: NDArray[Any]) -> NDArray[np.float32]:
    """OpenCV drops a last axis of length 1."""
    return np.asarray(image if image.ndim == 3 else image[..., None], np.float32)
