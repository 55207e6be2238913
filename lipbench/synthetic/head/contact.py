"""What linear shapes cannot do: lips that meet stop, lids slide over the balls. Works in template space."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.head import eyes, mouth
from lipbench.synthetic.head.relief import EYE_RADIUS
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import SIDES, template


@cache
def _lip_columns() -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Vertices (rows, 31) of the upper columns and those below them, and how much of a correction each row takes."""
    groups = template().groups
    rows = np.concatenate([groups["bag"][2::-1], groups["lips"]])
    ring = np.r_[-0.45, -0.30, -0.15, mouth.RINGS]
    upper = np.arange(1, mouth.COLUMNS // 2)
    # The red gives way and bulges, the skin around it follows less and less.
    share = np.exp(-((np.maximum(ring, 0) / 0.9) ** 2))
    return rows[:, upper], rows[:, mouth.COLUMNS - upper], share


def part_lips(points: Array) -> None:
    """Move lips that have passed through each other apart until they touch; changes `points` (N, 3)."""
    upper, lower, share = _lip_columns()
    first = 3  # the row of the inner line
    overlap = np.maximum(points[lower[first], 1] - points[upper[first], 1], 0)
    if not overlap.any():
        return
    # Both give way by half; the inner line exactly, other rows by a share and smoothed along the lips.
    smooth = np.convolve(np.pad(overlap, 2, mode="edge"), np.array([1, 2, 3, 2, 1]) / 9, mode="valid")
    push = 0.5 * share[:, None] * smooth
    push[first] = 0.5 * overlap
    points[upper, 1] += push
    points[lower, 1] -= push
    for row in (first - 1, first - 2):  # the first loops of the mouth's inside must not cross either
        crossing = np.maximum(points[lower[row], 1] - points[upper[row], 1], 0) / 2
        points[upper[row], 1] += crossing
        points[lower[row], 1] -= crossing


def hold_tongue(points: Array) -> None:
    """Keep the tongue behind closed lips: it comes forward only as far as they are open; changes `points` (N, 3)."""
    groups = template().groups
    upper, lower, _ = _lip_columns()
    middle = upper.shape[1] // 2
    opening = points[upper[3, middle], 1] - points[lower[3, middle], 1]
    limit = points[upper[3, middle], 2] - 0.09 + 0.22 * float(step(0.02, 0.07, opening))
    tongue = groups["tongue"]
    excess = np.maximum(points[tongue, 2] - limit, 0)
    # Soft: what is pushed back keeps a little of its shape.
    points[tongue, 2] -= 0.9 * excess


def settle_lids(points: Array, centers: Array) -> None:
    """Keep the lids outside the eyeballs, whose centers are (2, 3), and the upper lid above the lower one; changes
    `points` (N, 3)."""
    groups = template().groups
    upper = np.arange(1, eyes.COLUMNS // 2)
    for (name, _), center in zip(SIDES, centers, strict=True):
        loops = groups[f"lid_{name}"]
        before = points[loops[eyes.OUTER_EDGE, upper]].copy()
        edge = loops[eyes.INNER_EDGE]
        overlap = np.maximum(points[edge[eyes.COLUMNS - upper], 1] - points[edge[upper], 1], 0)
        for loop, share in ((0, 1.0), (1, 1.0), (2, 1.0), (3, 0.75), (4, 0.4)):
            above, below = loops[loop, upper], loops[loop, eyes.COLUMNS - upper]
            points[above, 1] += 0.8 * share * overlap
            points[below, 1] -= 0.2 * share * overlap
        for loop, clearance in ((1, 0.0065), (2, 0.014), (3, 0.017), (4, 0.014)):
            offset = points[loops[loop]] - center
            distance = np.linalg.norm(offset, axis=1, keepdims=True)
            points[loops[loop]] = center + offset * np.maximum((EYE_RADIUS + clearance) / distance, 1.0)
        points[groups[f"lash_{name}"]] += points[loops[eyes.OUTER_EDGE, upper]] - before


def lid_reach(offset: Array) -> Array:
    """(n, 1) by how much farther the lids of an identity have to travel than the template's.

    Args:
        offset: (N, 3) the identity's displacement.
    """
    t = template()
    moved = t.points + offset
    ratios = []
    for name, _ in SIDES:
        loops = t.groups[f"lid_{name}"]
        edge = loops[eyes.INNER_EDGE]
        opposite = (-np.arange(eyes.COLUMNS)) % eyes.COLUMNS
        opening = [p[edge, 1] - p[edge[opposite], 1] for p in (t.points, moved)]
        ratio = np.ones(eyes.COLUMNS)
        wide = np.abs(opening[0]) > 0.01
        ratio[wide] = np.clip(opening[1][wide] / opening[0][wide], 0.5, 2.0)
        per_loop = np.broadcast_to(ratio, loops.shape)
        fringe = np.broadcast_to(ratio[1 : eyes.COLUMNS // 2], t.groups[f"lash_{name}"].shape)
        ratios += [per_loop.ravel(), fringe.ravel()]
    return np.concatenate(ratios)[:, None]


@cache
def lid_vertices() -> NDArray[np.int64]:
    """(n,) vertices of lids and lashes, in the order of `lid_reach`."""
    groups = template().groups
    return np.concatenate([groups[f"{part}_{name}"].ravel() for name, _ in SIDES for part in ("lid", "lash")])
