"""Arithmetic on boxes: overlap and non-maximum suppression, vectorized in numpy.

Boxes are (N, 4) arrays x1 y1 x2 y2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def overlaps(box: NDArray[np.floating], boxes: NDArray[np.floating], one: float = 0.0) -> NDArray[np.floating]:
    """Intersection over union of one box with many, (N,); 0 where both are empty.

    Args:
        one: 1 counts pixels, so that a box from 3 to 3 is one pixel wide; 0 measures lengths.
    """
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    inside = np.clip(high - low + one, 0, None).prod(axis=1)
    union = (box[2:] - box[:2] + one).prod() + (boxes[:, 2:] - boxes[:, :2] + one).prod(axis=1) - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def nms(
    boxes: NDArray[np.floating], scores: NDArray[np.floating], threshold: float, one: float = 0.0
) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: indices of the boxes that stay, best first.

    A box goes when it overlaps a better one that stays by more than `threshold`.
    """
    order = np.argsort(-scores, kind="stable")
    keep = []
    while len(order):
        best, order = order[0], order[1:]
        keep.append(best)
        order = order[overlaps(boxes[best], boxes[order], one) <= threshold]
    return np.asarray(keep, dtype=np.int64)


def weighted_nms(
    values: NDArray[np.floating], scores: NDArray[np.floating], threshold: float
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """MediaPipe's "weighted" suppression: every group of overlapping boxes becomes its score-weighted mean.

    Args:
        values: (N, 4 + M) boxes followed by whatever else is averaged with them (keypoints).
        scores: (N,)
        threshold: a box joins the best one's group when it overlaps it by more than this.

    Returns:
        (K, 4 + M) means and the (K,) score of each group's best box, best first.
    """
    order = np.argsort(-scores, kind="stable")
    means, best_scores = [], []
    while len(order):
        together = overlaps(values[order[0], :4], values[order, :4]) > threshold
        together[0] = True  # an empty box overlaps nothing, itself included
        group = order[together]
        means.append(np.average(values[group], axis=0, weights=scores[group]))
        best_scores.append(scores[order[0]])
        order = order[~together]
    return np.asarray(means).reshape(-1, values.shape[1]), np.asarray(best_scores)
