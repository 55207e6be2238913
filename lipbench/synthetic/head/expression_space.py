"""The 79-dimensional expression space: principal components of random expressions, in units of standard deviations.

35 independent semantic shapes (jawR is jawL backwards) and 44 smooth random fields of the lower face and brows span
it, so a semantic expression has exact coefficients. Zero is the neutral face. The components are found in the 79 x 79
space of those generators: the same arithmetic at any number of BLAS threads up to rounding, and every mode is signed so
that its largest entry is positive (an SVD is free to flip signs, and does so between machines).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from lipbench.faces.morphable.base import positive_signs
from lipbench.faces.morphable.semantic import SEMANTIC
from lipbench.synthetic.head.expressions import semantic_shapes
from lipbench.synthetic.head.fields import fields
from lipbench.synthetic.head.shape import Array, step
from lipbench.synthetic.head.template import template

DIMENSIONS = 79
WAVES = 24  # random Fourier features per smooth field


@dataclass(frozen=True)
class ExpressionSpace:
    """The expression basis of the head.

    Attributes:
        basis: (79, N, 3) unit modes.
        sigma: (79,) dm.
        from_semantic: (36, 79) weights -> coefficients.
    """

    basis: Array
    sigma: Array
    from_semantic: Array


def smooth_fields(points: Array, n: int, length: float, amplitude: float, weight: Array, seed: int) -> Array:
    """(n, N, 3) random smooth displacement fields at (N, 3) points (random Fourier features of a Gaussian process),
    times `weight` (N,)."""
    rng = np.random.default_rng(seed)
    active = weight > 1e-9
    out = np.zeros((n, len(points), 3))
    for k in range(n):
        wave = rng.normal(size=(WAVES, 3)) / length
        phase = rng.uniform(0, 2 * np.pi, WAVES)
        strength = rng.normal(size=(WAVES, 3)) * np.sqrt(2 / WAVES) * amplitude
        out[k, active] = (np.cos(points[active] @ wave.T + phase) @ strength) * weight[active, None]
    return out


def _residual_weight() -> Array:
    """Where personal detail lives: the lower face and the brows; not the lids, teeth or the line of the lips."""
    f, t = fields(), template()
    lower = step(0.10, -0.20, f.y)
    brows = 0.6 * np.exp(-(((f.y - 0.33) / 0.14) ** 2))
    weight = np.maximum(lower, brows) * step(0.10, 0.40, f.z) * t.mask("lips", "bag", "bag_cap", "skin")
    weight *= step(-1.20, -1.00, f.y)
    # Fades towards the slit, so that residual modes neither open the lips nor push one through the other.
    return weight * np.where(f.ring < 8, step(-0.2, 1.6, f.ring), 1.0)


def sample_weights(n: int, rng: np.random.Generator) -> Array:
    """(n, 36) random semantic weights: sparse and mostly positive, both sides mostly together."""
    w = np.clip(rng.normal(0, 0.35, (n, len(SEMANTIC))), -0.1, 1.1) * (rng.random((n, len(SEMANTIC))) < 0.4)
    for i, name in enumerate(SEMANTIC):
        if name.endswith("R") and name != "jawR":
            w[:, i] = 0.8 * w[:, SEMANTIC.index(name[:-1] + "L")] + 0.2 * w[:, i]
    return w


@cache
def expression_space() -> ExpressionSpace:
    """Build the space (once per process, under a second)."""
    reduce = _independent()
    k = reduce.shape[1]
    semantic = np.delete(semantic_shapes(), SEMANTIC.index("jawR"), axis=0)
    residual = smooth_fields(template().points, DIMENSIONS - k, 0.25, 0.010, _residual_weight(), seed=1)
    shapes = np.concatenate([semantic, residual]).reshape(DIMENSIONS, -1)
    rng = np.random.default_rng(0)
    weights = np.concatenate([sample_weights(4000, rng) @ reduce, 0.35 * rng.normal(size=(4000, DIMENSIONS - k))], 1)
    moment = weights.T @ weights / len(weights)
    # shapes = L O with orthonormal rows O; in the coordinates of O the second moment of the samples is L' M L.
    lower = np.linalg.cholesky(shapes @ shapes.T)
    variance, axes = np.linalg.eigh(lower.T @ moment @ lower)
    order = np.argsort(variance)[::-1]
    variance, axes = variance[order], axes[:, order]
    basis = axes.T @ np.linalg.solve(lower, shapes)
    signs = positive_signs(basis)
    sigma = np.sqrt(variance)
    from_semantic = reduce @ (lower @ axes * signs / sigma)[:k]
    return ExpressionSpace((basis * signs[:, None]).reshape(DIMENSIONS, -1, 3), sigma, from_semantic)


def _independent() -> Array:
    """(36, 35) semantic weights -> weights of the independent shapes: jawR counts as negative jawL."""
    right = SEMANTIC.index("jawR")
    out = np.delete(np.eye(len(SEMANTIC)), right, axis=1)
    out[right, SEMANTIC.index("jawL")] = -1.0
    return out
