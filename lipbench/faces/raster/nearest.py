"""The nearest pixels of a silhouette, which go on outside of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nearest_pixels(
    known: NDArray[np.bool_], reach: int = 3
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]:
    """How far every pixel is from known ones, and from which; at least one is known.

    Args:
        known: (H, W).
        reach: 3 or 5, px of the neighborhood that distances are added up from.

    Returns:
        (H, W) px away, (H, W) number of the nearest known pixel, and for these numbers its place in the raveled image.
    """
    import cv2

    away, number = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, reach, labelType=cv2.DIST_LABEL_PIXEL
    )
    place, inside = np.zeros(int(number.max()) + 1, np.int64), np.flatnonzero(known)
    place[number.reshape(-1)[inside]] = inside
    return np.asarray(away, np.float32), np.asarray(number, np.int32), place
