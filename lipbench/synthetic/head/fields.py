"""Weights over the template that the expressions are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.head import mouth
from lipbench.synthetic.head.relief import MOUTH_HALF, MOUTH_Y
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import Template, template


@dataclass(frozen=True)
class Fields:
    """Per-vertex weights, all (N,).

    Attributes:
        x: template coordinates.
        y: template coordinates.
        z: template coordinates.
        soft: the deformable skin (lips, mouth's inside, lids, skin).
        lower: 1 below the line of the lips, 0 above, 0.5 at the corners.
        jaw: how far a vertex follows the jaw.
        ring: ring coordinate of the lips (negative inside the mouth, 9 elsewhere).
        near: round the mouth, narrow and wide.
        far: round the mouth, narrow and wide.
        middle: 1 at the middle of the mouth, 0 at its corners and beyond.
        right: 0 in the left half of the image, 1 in the right, blended.
    """

    x: Array
    y: Array
    z: Array
    soft: NDArray[np.bool_]
    lower: Array
    jaw: Array
    ring: Array
    near: Array
    far: Array
    middle: Array
    right: Array


def _lower(t: Template) -> Array:
    lower = np.where(t.points[:, 1] < MOUTH_Y, 1.0, 0.0)
    _, up, low = mouth.columns()
    lower[t.groups["lips"]] = np.where(low, 1.0, np.where(up, 0.0, 0.5))
    lower[t.groups["bag"]] = np.where(low, 1.0, np.where(up, 0.0, 0.5))
    lower[t.groups["bag_cap"]] = 0.5
    return lower


def _jaw(t: Template, lower: Array, soft: NDArray[np.bool_]) -> Array:
    x, y, z = t.points.T
    # Beside the mouth the pull of the jaw fades in along a band from the mouth's corner up to the ear.
    line = MOUTH_Y + 0.42 * step(0.30, 0.95, np.hypot(0.9 * x, np.clip(0.75 - z, 0, 2)))
    beside = step(-0.20, 0.20, line - y)
    within = np.clip(1 - (np.abs(x) / (1.04 * MOUTH_HALF)) ** 4, 0, 1) * step(0.25, 0.55, z)
    jaw = within * lower + (1 - within) * beside
    jaw *= step(-0.32, 0.10, z + 0.15 * (y < -0.6))
    # The skin of the throat stretches: nothing moves at the neck's foot.
    throat = step(-0.02, -0.42, y + 1.0) * step(0.60, 0.20, z)
    jaw *= 1 - throat
    jaw = np.where(soft, jaw, 0.0)
    jaw[t.mask("teeth_l", "gum_l", "tongue")] = 1.0
    return jaw


@cache
def fields() -> Fields:
    """The weights of the template, computed once."""
    t = template()
    x, y, z = t.points.T
    soft = t.mask("lips", "bag", "bag_cap", "lid_l", "lid_r", "skin")
    lower = _lower(t)
    ring = np.full(t.n_vertices, 9.0)
    ring[t.groups["lips"]] = mouth.RINGS[:, None]
    ring[t.groups["bag"]] = -0.15 * (1 + np.arange(len(mouth.BAG)))[:, None]
    radius = np.hypot(x / 0.30, (y - MOUTH_Y) / 0.130)
    front = step(0.20, 0.50, z) * soft
    return Fields(
        x=x,
        y=y,
        z=z,
        soft=soft,
        lower=lower,
        jaw=_jaw(t, lower, soft),
        ring=ring,
        near=np.exp(-((np.maximum(radius - 0.9, 0) / 1.05) ** 2)) * front,
        far=np.exp(-((np.maximum(radius - 0.9, 0) / 1.60) ** 2)) * front,
        middle=np.clip(1 - (x / MOUTH_HALF) ** 2, 0, 1),
        right=step(-0.12, 0.12, x),
    )
