"""Eyes that look around: the balls turn and the lids follow."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from lipbench.core.errors import UsageError
from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.synthetic.head import eyes
from lipbench.synthetic.head.expressions import semantic_shapes
from lipbench.synthetic.head.shape import Array
from lipbench.synthetic.head.template import SIDES, template

# Lids follow the gaze by about this share of a full blink per radian (a blink sweeps about 50 degrees).
LID_DOWN, LID_UP = 0.85, 1.3


def gaze_angles(gaze: ArrayLike) -> Array:
    """(2,) for both eyes or (2, 2) per eye (image left, right) -> (2, 2) yaw, pitch in radians.

    Raises:
        UsageError: another shape.
    """
    angles = np.asarray(gaze, np.float64)
    if angles.shape not in ((2,), (2, 2)):
        raise UsageError(
            f"cannot read a gaze of shape {angles.shape}",
            "it must be (yaw, pitch), for both eyes or one row per eye",
            "pass radians, yaw to the image's right, pitch upwards",
        )
    return np.broadcast_to(angles, (2, 2))


def lid_following(gaze: Array) -> Array:
    """(2, 2) gaze -> (36,) semantic weights that the lids add."""
    out = np.zeros(len(SEMANTIC))
    for (_, side), (_, pitch) in zip(SIDES, gaze, strict=True):
        label = "L" if side < 0 else "R"
        if pitch < 0:
            out[SEMANTIC.index("blink" + label)] = LID_DOWN * -pitch
        else:
            out[SEMANTIC.index("wide" + label)] = LID_UP * pitch
            out[SEMANTIC.index("browOuter" + label)] = 0.4 * pitch
    return out


@cache
def _lid_shapes() -> tuple[Array, Array]:
    """Vertices that blink, wide and browOuter move, and the (36, n, 3) shapes on them."""
    used = [i for i, name in enumerate(SEMANTIC) if name[:-1] in ("blink", "wide", "browOuter")]
    index = np.flatnonzero(np.abs(semantic_shapes()[used]).max((0, 2)) > 1e-7)
    return index, semantic_shapes()[:, index]


def follow_gaze(points: Array, gaze: Array) -> None:
    """Move the lids with a (2, 2) gaze; changes `points` (N, 3)."""
    weights = lid_following(gaze)
    index, shapes = _lid_shapes()
    for k in np.flatnonzero(weights):
        points[index] += weights[k] * shapes[k]


def turn_eyes(points: Array, gaze: Array) -> None:
    """Rotate the eyeballs about their centers in template space; changes `points` (N, 3)."""
    for (name, side), (yaw, pitch) in zip(SIDES, gaze, strict=True):
        ball = template().groups[f"eye_{name}"].ravel()
        center = eyes.socket(side)
        cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
        # First up or down about the x axis, then sideways about the vertical.
        turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        points[ball] = center + (template().points[ball] - center) @ turn.T
