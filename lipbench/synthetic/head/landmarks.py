"""Landmark vertices of the template: the 68-point convention (iBUG), view-dependent contour, mouth measures."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lipbench.synthetic.head import eyes, mouth
from lipbench.synthetic.head.relief import SUBNASALE_Y, TIP_Y, face_point, head_point
from lipbench.synthetic.head.shape import Array
from lipbench.synthetic.head.skull import skull
from lipbench.synthetic.head.template import template


class Landmarks(NamedTuple):
    """Vertices of the landmarks.

    Attributes:
        points: (68,) vertex indices.
        left: (8, 20) candidates that stand in for points 0..7 and 9..16: of every row the vertex farthest to the
            image's left or right is the contour.
        right: (8, 20) candidates that stand in for points 0..7 and 9..16: of every row the vertex farthest to the
            image's left or right is the contour.
    """

    points: NDArray[np.int64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]


def _nearest(positions: Array) -> NDArray[np.int64]:
    t = template()
    candidates = np.unique(np.concatenate([t.groups[g].ravel() for g in ("skin", "lips", "lid_l", "lid_r")]))
    return candidates[cKDTree(t.points[candidates]).query(positions)[1]]


#: Heights of the contour's rows, from beside the eye along the jaw's edge; evenly spaced as in the iBUG mark-up.
CONTOUR_Y = (0.08, -0.08, -0.24, -0.42, -0.59, -0.735, -0.86, -0.945)


def _contour_rows() -> NDArray[np.int64]:
    """(8, 20) of the image's right side, from beside the ear down to beside the chin, each row from back to front."""
    s = skull()
    edge = float(np.mean(s.knots[12:14]))  # where the jaw turns under
    rows = []
    for y in CONTOUR_Y:
        alpha = np.linspace(0.10, 1.75, 120)
        t = s.at_height(alpha, np.full(120, y))
        on_jaw = np.flatnonzero(t <= edge)
        last = alpha[on_jaw[-1]]
        alpha = np.linspace(last, max(last - 1.0, 0.10), 20)
        rows.append(_nearest(head_point(alpha, s.at_height(alpha, np.full(20, y)))))
    return np.stack(rows)


def _brow(side: int) -> Array:
    """(5, 3) from the image's left to its right."""
    ax = np.array([0.141, 0.276, 0.404, 0.498, 0.557])
    y = np.array([0.338, 0.351, 0.360, 0.345, 0.287])
    points = face_point(side * ax, y)
    return points if side > 0 else points[::-1]


def _eye(name: str) -> NDArray[np.int64]:
    """(6,): left corner, upper left, upper right, right corner, lower right, lower left."""
    k = eyes.COLUMNS
    rim, lid = template().groups[f"lid_{name}"][[0, eyes.INNER_EDGE]]
    outer_left = np.array([rim[k // 2], lid[13], lid[8], lid[39], lid[32], lid[28]])
    outer_right = np.array([lid[21], lid[12], lid[7], rim[0], lid[32], lid[28]])
    return outer_left if name == "l" else outer_right


@cache
def landmarks() -> Landmarks:
    """Indices on the template."""
    t = template()
    right = _contour_rows()
    mirrored = t.points[right] * np.array([-1, 1, 1])
    left = _nearest(mirrored.reshape(-1, 3)).reshape(8, 20)
    chin = _nearest(head_point(np.array([0.0]), np.array([skull().knots[12]])))
    # At rest the contour is where the candidates reach farthest out.
    widest = np.abs(t.points[right, 0]).argmax(1), np.abs(t.points[left, 0]).argmax(1)
    rows = np.arange(8)
    jaw = np.r_[left[rows, widest[1]], chin, right[rows, widest[0]][::-1]]
    nose_ridge = face_point(np.zeros(4), np.array([0.165, 0.018, -0.103, TIP_Y + 0.029]))
    base_x = np.array([-0.149, -0.077, 0.0, 0.077, 0.149])
    base_y = np.array([0.014, -0.011, -0.014, -0.011, 0.014]) + SUBNASALE_Y
    k = mouth.COLUMNS
    # Columns run counter-clockwise from the right corner; the convention runs clockwise from the left corner. Columns,
    # brows, eyes and nose are where MediaPipe's mesh sees the 68 points on renderings of this head (24 people).
    outer_columns = (k // 2 - np.array([0, 10, 13, 16, 19, 22, 32, 39, 45, 48, 51, 57])) % k
    inner_columns = (k // 2 - np.array([60, 14, 16, 18, 36, 46, 48, 50])) % k
    lips = t.groups["lips"]
    points = np.r_[
        jaw,
        _nearest(_brow(-1)),
        _nearest(_brow(1)),
        _nearest(nose_ridge),
        _nearest(face_point(base_x, base_y)),
        _eye("l"),
        _eye("r"),
        lips[len(mouth.VERMILION) - 1, outer_columns],
        lips[0, inner_columns],
    ]
    return Landmarks(points, left, right[::-1])


def mouth_measures(vertices: Array) -> dict[str, float]:
    """Opening and width of the mouth of (N, 3) posed vertices (dm), in mm, whatever the head's pose.

    lip_gap_mm: height of the opening at its middle, measured along the head's vertical, 0 when closed.
    mouth_width_mm: distance between the outer corners.
    """
    groups = template().groups
    k = mouth.COLUMNS
    up = (vertices[groups["gum_u"][0]] - vertices[groups["teeth_u"][-1]]).mean(0)
    up = up / np.linalg.norm(up)
    middle = np.array([-1, 0, 1])
    upper = vertices[groups["lips"][0, k // 4 + middle]]
    lower = vertices[groups["lips"][0, 3 * k // 4 + middle]]
    corners = vertices[groups["lips"][len(mouth.VERMILION) - 1, [0, k // 2]]]
    return {
        "lip_gap_mm": max(0.0, 100 * float(((upper - lower) @ up).mean())),
        "mouth_width_mm": 100 * float(np.linalg.norm(corners[0] - corners[1])),
    }
