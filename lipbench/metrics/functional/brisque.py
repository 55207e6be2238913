"""BRISQUE as the package `brisque` 0.2.0 computes it, with its support vectors: 0 is good, 100 bad, about.

Mittal, Moorthy, Bovik, "No-reference image quality assessment in the spatial domain", IEEE TIP 21(12), 2012.
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
from lipbench.metrics.functional.scene_statistics import Image, moment_ratio, relative, sides

#: Name in the weights registry, and the files in it.
NAME, VECTORS, RANGES = "brisque", "svm.txt", "normalize.pickle"
#: Shorter side of the smallest image, px: what is left of it at half its size still has surroundings.
SMALLEST = 16
#: Of the shape that is looked for.
LOWEST, HIGHEST = 0.05, 20.0
_FIX = f"run `lipbench weights get {NAME} --again`"


@dataclass(frozen=True)
class Regression:
    """A support vector regression of radial basis functions on features in ranges.

    Attributes:
        vectors: (N, 36).
        weights: (N,).
        offset: subtracted from the sum.
        gamma: of exp(-gamma |x - v|^2).
        lowest: (36,) what becomes -1.
        highest: (36,) what becomes 1.
    """

    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]
    offset: float
    gamma: float
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]

    def __call__(self, features: NDArray[np.float64]) -> float:
        """The score of (36,) features."""
        x = -1 + 2 * (features - self.lowest) / (self.highest - self.lowest)
        far = ((self.vectors - x) ** 2).sum(axis=1)
        return float(self.weights @ np.exp(-self.gamma * far) - self.offset)


def load() -> Regression:
    """The published regression; kept in memory.

    Raises:
        WeightsMissing: run `lipbench weights get brisque`.
        WeightsMismatch: a file is there but is not the pinned one.
    """
    return _load(weights.path(NAME))


@lru_cache(maxsize=1)
def _load(folder: Path) -> Regression:
    from lipbench.faces.morphable.unpickle import load_pickle

    ranges = load_pickle(folder / RANGES)
    with reading(folder / VECTORS, _FIX) as path:
        head, _, body = path.read_text(encoding="ascii").partition("\nSV\n")
    facts = dict(line.split(maxsplit=1) for line in head.splitlines())
    if (facts.get("svm_type"), facts.get("kernel_type")) != ("epsilon_svr", "rbf"):
        raise WeightsMismatch(f"{folder / VECTORS} is not BRISQUE's", f"it begins with {head[:40]!r}", _FIX)
    try:
        rows = [line.split() for line in body.splitlines()]
        # "weight 1:value 2:value ...": all 36 stand in every line.
        table = np.array([[float(row[0]), *(float(entry.split(":")[1]) for entry in row[1:])] for row in rows])
        lowest, highest = (np.array(ranges[name], np.float64) for name in ("min_", "max_"))
        if table.shape[1] != 37 or lowest.shape != (36,) or highest.shape != (36,):
            raise ValueError(f"{table.shape[1] - 1} features, {len(lowest)} ranges; 36 of each are wanted")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise WeightsMismatch(f"{folder} does not hold BRISQUE", str(error), _FIX) from error
    return Regression(table[:, 1:], table[:, 0], float(facts["rho"]), float(facts["gamma"]), lowest, highest)


def features(frame: Frame) -> NDArray[np.float64]:
    """(36,) of one (H, W, 3) uint8 RGB image: 18 of it and 18 of it at half its size.

    Raises:
        Unsupported: an image without any texture, or a tiny one.
    """
    if min(frame.shape[:2]) < SMALLEST:
        raise Unsupported(
            f"frames of {frame.shape[1]} x {frame.shape[0]} px have no BRISQUE",
            f"{SMALLEST} x {SMALLEST} px are needed",
            "measure larger frames",
        )
    gray = frame.astype(np.float64) / 255 @ [0.2125, 0.7154, 0.0721]
    half = cv2.resize(gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_CUBIC)
    return np.concatenate([_features(gray), _features(np.asarray(half, np.float64))])


def _features(gray: Image) -> NDArray[np.float64]:
    x = relative(gray, 1 / 255)
    shape, _, left, right = _shape(x)
    found = [shape, (left**2 + right**2) / 2]
    for product in (x[:, :-1] * x[:, 1:], x[:-1] * x[1:], x[:-1, :-1] * x[1:, 1:], x[1:, :-1] * x[:-1, 1:]):
        shape, mean, left, right = _shape(product)
        found += [shape, mean, left**2, right**2]
    return np.array(found)


def _shape(values: Image) -> tuple[float, float, float, float]:
    """Shape, mean and the deviations of both sides of an asymmetric generalized Gaussian with these moments."""
    from scipy.optimize import brentq
    from scipy.special import gamma

    left, right, ratio = sides(values)
    if not float(moment_ratio(LOWEST)) < ratio < float(moment_ratio(HIGHEST)):
        raise Unsupported(
            "this image has no BRISQUE",
            "its texture has no shape of the kind that is fitted",
            "measure a video of a scene",
        )
    shape = float(brentq(lambda s: float(moment_ratio(s)) - ratio, LOWEST, HIGHEST, xtol=1e-10))
    mean = (right - left) * np.sqrt(gamma(1 / shape) / gamma(3 / shape)) * gamma(2 / shape) / gamma(1 / shape)
    return shape, float(mean), left, right


def brisque_per_frame(frames: Frame) -> NDArray[np.float64]:
    """BRISQUE of every frame.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 16 x 16 px.

    Returns:
        (T,), lower is better; 0 to 100 on the images that it was trained on, beyond that on others.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: a tiny image or one without texture.
        WeightsMissing, WeightsMismatch: run `lipbench weights get brisque`.
    """
    clip, _ = as_clips(frames, frames)
    score = load()
    return np.array([score(features(frame)) for frame in clip])


def brisque(frames: Frame) -> float:
    """BRISQUE, mean over frames; see `brisque_per_frame`.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 16 x 16 px.

    Returns:
        Lower is better; 0 to 100 on the images that it was trained on.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: a tiny image or one without texture.
        WeightsMissing, WeightsMismatch: run `lipbench weights get brisque`.

    Source:
        Mittal et al., "No-reference image quality assessment in the spatial domain", IEEE TIP 21(12), 2012.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import brisque
        >>> from lipbench.metrics.functional.brisque import features
        >>> noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        >>> features(noise).shape
        (36,)
        >>> brisque(noise)  # doctest: +SKIP
    """
    return float(brisque_per_frame(frames).mean())
