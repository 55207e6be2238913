"""Frechet distance of two sets of features: the arithmetic of FID and FVD; networks and weights are the user's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import TooShort, UsageError

Features = NDArray[np.floating]


def frechet_distance(a: Features, b: Features) -> float:
    """|mean difference|^2 + trace(A + B - 2 (A B)^(1/2)) of the Gaussians that fit two sets of features.

    The trace of the root is the sum of the roots of the eigenvalues of A^(1/2) B A^(1/2), which are never negative:
    no imaginary part has to be dropped, and nothing has to be added to a covariance of low rank.

    Args:
        a: (N, D) features, one row an image (FID) or a clip (FVD).
        b: (M, D) features.

    Returns:
        0 for equal sets, lower is closer. With fewer rows than features it is biased upwards.

    Raises:
        UsageError: other shapes, or features that are not finite.
        TooShort: a set of fewer than two rows, which has no covariance.

    Source:
        Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash equilibrium", NeurIPS
        2017; covariances over N - 1, as in mseitzer/pytorch-fid.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import frechet_distance
        >>> a = np.random.default_rng(0).normal(size=(500, 8))
        >>> round(frechet_distance(a, a), 6) + 0
        0.0
        >>> round(frechet_distance(a + 2, a), 6)
        32.0
    """
    both = []
    for name, rows in (("a", a), ("b", b)):
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or not np.isfinite(rows).all():
            raise UsageError(
                f"features {name} of shape {rows.shape} are no (N, D) finite numbers", "", "one row an image"
            )
        if len(rows) < 2:
            raise TooShort(f"{len(rows)} rows of features have no covariance", "", "use more images")
        both.append(rows)
    if both[0].shape[1] != both[1].shape[1]:
        raise UsageError(
            f"features of {both[0].shape[1]} and {both[1].shape[1]} numbers", "", "take both of one network"
        )
    shift = both[0].mean(axis=0) - both[1].mean(axis=0)
    off_a, off_b = ((rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1) for rows in both)
    spread = np.square(off_a).sum() + np.square(off_b).sum()
    return float(shift @ shift + spread - 2 * _between(off_a, off_b))


def _between(a: Features, b: Features) -> float:
    """Trace of the root of A B, for A = a^T a and B = b^T b.

    It is the sum of the singular values of a b^T, which is the smaller matrix when there are fewer rows than features.
    """
    if max(len(a), len(b)) <= a.shape[1]:
        return float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    values, vectors = np.linalg.eigh(a.T @ a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    return float(np.sqrt(np.linalg.eigvalsh(root @ (b.T @ b) @ root).clip(0)).sum())
