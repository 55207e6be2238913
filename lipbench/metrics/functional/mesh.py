"""Errors of a known mesh."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lip_vertex_error(prediction: NDArray[np.floating], truth: NDArray[np.floating]) -> NDArray[np.float64]:
    """The largest squared distance of a lip vertex in each frame.

    Args:
        prediction: (T, L, 3) lip vertices, mm.
        truth: the same of the correct mesh.

    Returns:
        (T,) mm^2.

    Raises:
        ValueError: the shapes differ; sequences of different length are refused, not cut.

    Source:
        Richard et al., "MeshTalk", ICCV 2021, section 4.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import lip_vertex_error
        >>> truth = np.zeros((2, 5, 3))
        >>> wrong = truth.copy()
        >>> wrong[1, 3] = (3, 4, 0)
        >>> lip_vertex_error(wrong, truth)
        array([ 0., 25.])
    """
    if prediction.shape != truth.shape:
        raise ValueError(f"lip vertices of shape {prediction.shape} and {truth.shape} cannot be compared")
    return ((prediction.astype(np.float64) - truth) ** 2).sum(-1).max(-1)
