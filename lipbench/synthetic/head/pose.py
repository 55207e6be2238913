"""Where head, neck and shoulders stand: the head moves, the shoulders stay, the neck bends between them."""

from __future__ import annotations

from functools import cache

import numpy as np

from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import template

#: The joint between skull and spine, about which a nodding head turns, and the root of the neck (dm).
SKULL_JOINT = np.array([0.0, -0.38, -0.18])
NECK_ROOT = np.array([0.0, -1.20, -0.28])


def head_share(points: Array) -> Array:
    """(N,) share of the head's motion that a point at (N, 3) takes: 1 on the head, 0 at the foot of the neck."""
    return step(-1.45, -0.78, points[:, 1] + 0.45 * (points[:, 2] + 0.2))


@cache
def template_share() -> Array:
    """(N,) `head_share` of the template's vertices."""
    t = template()
    share = np.ones(t.n_vertices)
    skin = t.groups["skin"]
    share[skin] = head_share(t.points[skin])
    share[t.groups["cloth"]] = 0.0
    return share


def rotation_vector(rotation: Array) -> Array:
    """(3, 3) -> (3,) axis times angle, for angles below 180 degrees."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    sine = np.linalg.norm(axis) / 2
    angle = np.arctan2(sine, (np.trace(rotation) - 1) / 2)
    return axis / 2 * (angle / sine if sine > 1e-9 else 1.0)


def rotate_partly(points: Array, vector: Array, share: Array) -> Array:
    """(n, 3) points turned about the origin by share (n,) of a rotation vector (Rodrigues' formula per point)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return points.copy()
    axis = vector / angle
    c, s = np.cos(angle * share)[:, None], np.sin(angle * share)[:, None]
    return points * c + np.cross(axis, points) * s + axis * (points @ axis)[:, None] * (1 - c)


def place(points: Array, share: Array, head: tuple[Array, Array], body: tuple[Array, Array]) -> Array:
    """Model points (N, 3) -> camera space.

    Args:
        share: (N,) share of the head's motion.
        head: (rotation (3, 3), translation (3,)), model to camera space.
        body: the same of the body.
    """
    head_r, head_t = head
    body_r, body_t = body
    out = np.empty_like(points)
    on_head, on_body = share >= 1, share <= 0
    out[on_head] = points[on_head] @ head_r.T + head_t
    between = ~on_head & ~on_body
    # The head's motion seen from the body: turn about the root of the neck, then shift.
    turn = body_r.T @ head_r
    shift = body_r.T @ (head_t - body_t) + turn @ NECK_ROOT - NECK_ROOT
    w = share[between]
    bent = rotate_partly(points[between] - NECK_ROOT, rotation_vector(turn), w) + NECK_ROOT + w[:, None] * shift
    out[between] = bent @ body_r.T + body_t
    out[on_body] = points[on_body] @ body_r.T + body_t
    return out


def joint_translation(rotation: Array, body: tuple[Array, Array]) -> Array:
    """Translation (3,) of a head with this rotation whose skull joint stays where the body holds it."""
    body_r, body_t = body
    return body_r @ SKULL_JOINT + body_t - rotation @ SKULL_JOINT
