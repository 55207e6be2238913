"""CPBD, the cumulative probability of blur detection: the share of edges whose width nobody sees as blur.

Narvekar, Karam, "A no-reference image blur metric based on the cumulative probability of blur detection (CPBD)", IEEE
TIP 20(9), 2011. As the package `cpbd` 1.0.7 does: edges where the horizontal gradient peaks, widths along rows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.faces.raster.kernel import kernel
from lipbench.metrics.arrays import Frame, as_clips

Image = NDArray[np.float64]
#: Side of a block, px, and the share of edge pixels above which its edges count.
BLOCK, EDGES = 64, 0.002
#: Just noticeable width of an edge, px: in blocks whose gray levels span up to LOW_CONTRAST, and in others.
WIDE, NARROW, LOW_CONTRAST = 5.0, 3.0, 50
#: Exponent of the probability that a width is seen as blur.
BETA = 3.6
#: Percent, rounded, up to which blur is not seen.
UNSEEN = 63
#: Farthest that an edge is followed to one side, px.
REACH = 100


def frame_cpbd(frame: Frame) -> float:
    """CPBD of one (H, W, 3) uint8 RGB image of at least 64 x 64 px; NaN where it has no edge.

    Raises:
        Unsupported: a smaller image.
    """
    if min(frame.shape[:2]) < BLOCK:
        raise Unsupported(
            f"frames of {frame.shape[1]} x {frame.shape[0]} px have no CPBD",
            f"its blocks have {BLOCK} x {BLOCK} px",
            "measure larger frames",
        )
    from skimage.feature import canny

    gray = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY).astype(np.float64)
    blocks = _blocks(gray)
    counted = np.count_nonzero(_blocks(canny(gray)), axis=1) > BLOCK**2 * EDGES
    contrast = (blocks.max(axis=1) - blocks.min(axis=1)).astype(int)
    noticeable = np.where(contrast <= LOW_CONTRAST, WIDE, NARROW)
    widths = _blocks(edge_widths(gray))
    seen = 1 - np.exp(-((widths / noticeable[:, None]) ** BETA))
    percent = np.rint(100 * seen[(widths != 0) & counted[:, None]])
    return float((percent <= UNSEEN).mean()) if len(percent) else float("nan")


def _blocks(image: NDArray[np.generic]) -> NDArray[np.generic]:
    """(H, W) -> (blocks, 64 * 64); what is left at the right and at the bottom is not looked at."""
    rows, columns = (n // BLOCK for n in image.shape)
    whole = image[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return whole.swapaxes(1, 2).reshape(rows * columns, -1)


def edge_widths(gray: Image) -> Image:
    """(H, W) width in px of the edges that a row crosses, from peak to valley; 0 where there is none."""
    strength = cv2.Sobel(gray, cv2.CV_64F, 1, 0, ksize=3, scale=1 / 8, borderType=cv2.BORDER_REFLECT) ** 2
    strength[strength <= 2 * np.sqrt(strength.mean())] = 0
    around = np.pad(strength, 1)
    middle = around[1:-1, 1:-1]
    peak = ((middle > around[1:-1, :-2]) & (middle > around[1:-1, 2:])) | (
        (middle > around[:-2, 1:-1]) & (middle > around[2:, 1:-1])
    )
    down, right = np.gradient(gray)
    angle = np.where(right != 0, np.degrees(np.arctan2(down, right)), 0.0)
    if not angle.any():
        return np.zeros_like(gray)
    turn = np.rint(angle / 45).astype(np.int64)
    # 1: brighter to the right, -1: darker, 0: neither.
    sign = np.where(turn == 0, 1, np.where(np.abs(turn) == 4, -1, 0))
    sign[~peak] = 0
    sign[[0, -1]] = sign[:, [0, -1]] = 0
    return np.asarray(_widths(gray, sign))


@kernel
def _widths(gray: Image, sign: NDArray[np.int64]) -> Image:
    height, width = gray.shape
    found = np.zeros((height, width))
    for row in range(height):
        for column in range(width):
            rising = sign[row, column]
            if rising == 0:
                continue
            for way in (-1, 1):
                steps = 0
                while steps < REACH:
                    inner = column + way * (steps + 1)
                    outer = inner + way
                    if outer < 0 or outer >= width or way * rising * (gray[row, outer] - gray[row, inner]) <= 0:
                        break
                    steps += 1
                found[row, column] += steps + 1
    return found


def cpbd_per_frame(frames: Frame) -> NDArray[np.float64]:
    """CPBD of every frame.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 64 x 64 px.

    Returns:
        (T,), 0 to 1, higher is sharper; NaN for a frame without edges.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: frames that are too small.
    """
    clip, _ = as_clips(frames, frames)
    return np.array([frame_cpbd(frame) for frame in clip])


def cpbd(frames: Frame) -> float:
    """CPBD, mean over the frames that have edges; see `cpbd_per_frame`.

    Args:
        frames: uint8 RGB, (H, W, 3) or (T, H, W, 3), at least 64 x 64 px.

    Returns:
        0 to 1, higher is sharper; NaN when no frame has edges.

    Raises:
        UsageError: other dtype or shape.
        Unsupported: frames that are too small.

    Source:
        Narvekar, Karam, IEEE TIP 20(9), 2011.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import cpbd
        >>> noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
        >>> round(cpbd(noise), 2)
        0.91
        >>> import cv2
        >>> round(cpbd(cv2.GaussianBlur(noise, (0, 0), 3)), 2)
        0.34
    """
    found = cpbd_per_frame(frames)
    return float(found[~np.isnan(found)].mean()) if not np.isnan(found).all() else float("nan")
