"""Temporal difference error: how far the changes from frame to frame are from those of a reference.

    tde(t) = mean over pixels and channels of |(p[t+1] - p[t]) - (g[t+1] - g[t])|

in gray levels (0..255), p the prediction and g the reference. A still error (a color cast, a soft mouth) costs nothing,
flicker does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.metrics.arrays import Frame, as_clips


def change_error(prediction: Frame, reference: Frame) -> float:
    """The error of one change: (2, H, W, 3) and (2, H, W, 3) uint8 -> gray levels."""
    signed = np.subtract(prediction, reference, dtype=np.int16)
    return float(np.abs(signed[1] - signed[0]).mean())


def temporal_difference_per_frame(prediction: Frame, reference: Frame) -> NDArray[np.float64]:
    """The error of every change.

    Args:
        prediction: uint8 RGB frames, (T, H, W, 3), T at least 2.
        reference: the same of what it is compared to.

    Returns:
        (T - 1,) gray levels, 0 to 510; entry t is the change from frame t to t + 1.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: a single frame, which has no change.
    """
    a, b = as_clips(prediction, reference)
    if len(a) < 2:
        raise Unsupported("one frame has no change", "temporal differences need two", "pass a clip")
    return np.array([change_error(a[t : t + 2], b[t : t + 2]) for t in range(len(a) - 1)])


def temporal_difference(prediction: Frame, reference: Frame) -> float:
    """Mean over a clip of the temporal difference error.

    Args:
        prediction: uint8 RGB frames, (T, H, W, 3), T at least 2.
        reference: the same of what it is compared to.

    Returns:
        Gray levels, 0 (the same changes) to 510.

    Raises:
        UsageError: other dtype or shape, or the two differ in shape.
        Unsupported: a single frame, which has no change.

    Source:
        This toolkit's own definition; see the top of this module.

    Examples:
        >>> import numpy as np
        >>> from lipbench.metrics import temporal_difference
        >>> still = np.full((4, 16, 16, 3), 100, np.uint8)
        >>> temporal_difference(still + np.uint8(30), still)  # another brightness, but it does not flicker
        0.0
        >>> flicker = still.copy()
        >>> flicker[::2] += 30
        >>> temporal_difference(flicker, still)
        30.0
    """
    return float(temporal_difference_per_frame(prediction, reference).mean())
