"""A dub's mouth under the source's own eyes and brows.

A lip source changes the lower half of the face only, so what its re-fit finds above is the source's expression plus the
tracker's noise. The noise matters: the field was shown one pair of expression and code per frame, and answers to
another pair with swimming eyes. Both expressions are told apart on the surface: the vertices of the lower face shall
move as in the dub, those above as in the source, in the least squares

    |B_low (e - e_dub)|^2 + |B_up (e - e_own)|^2 + ridge |e - e_own|^2    =>    e = e_own + M (e_dub - e_own)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.faces.morphable import MorphableModel
from lipbench.lipnerf.fitting.appearance import face_surface

Array = NDArray[np.float64]
#: Vertices that are compared, about.
VERTICES = 1800
#: Against the mean squared motion that one standard deviation makes. A smaller one follows the lips no better and lets
#: coefficients cancel each other far outside of what the field was trained on.
RIDGE = 0.05
#: 68-point numbers between which the source's part fades into the dub's: on the bridge of the nose, and at its base.
ABOVE, BELOW = 28, 33


def mouth_part(model: MorphableModel) -> Array:
    """(K, K) M: what of a change of expression belongs to the lower face, as a change of expression.

    Raises:
        Unsupported: the model has no landmark vertices.
    """
    marks = model.require_landmarks().points
    surface = face_surface(model, VERTICES)
    height = np.asarray(model.mean, np.float64)[:, 1]
    above, below = height[marks[ABOVE]], height[marks[BELOW]]
    lower = np.clip((above - height[surface.vertices]) / (above - below), 0, 1)
    basis = np.asarray(model.expression_basis[:, surface.vertices], np.float64)
    basis = basis * np.asarray(model.expression_sigma)[:, None, None]

    def gram(weight: Array) -> Array:
        rows = (basis * np.sqrt(weight)[:, None]).reshape(len(basis), -1)
        return np.asarray(rows @ rows.T)

    below_weight, above_weight = surface.weight * lower, surface.weight * (1 - lower)
    low = gram(below_weight / below_weight.sum())
    both = low + gram(above_weight / above_weight.sum())
    ridge = RIDGE * np.trace(both) / len(both)
    return np.linalg.solve(both + ridge * np.eye(len(both)), low)


def keep_upper_face(model: MorphableModel, own: Array, dub: Array) -> Array:
    """(N, K) expressions with the mouth, cheeks and jaw of `dub` (N, K) and the eyes, brows and nose of `own` (N, K).

    Raises:
        Unsupported: see `mouth_part`.
    """
    return own + (dub - own) @ mouth_part(model).T
