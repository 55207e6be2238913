"""Savitzky-Golay smoothing of fitted expressions (LipNeRF III-E: window 5, order 2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError

WINDOW, ORDER = 5, 2


def smooth(
    expression: NDArray[np.float64], shots: Sequence[tuple[int, int]] = (), *, window: int = WINDOW, order: int = ORDER
) -> NDArray[np.float64]:
    """Fit a polynomial around every frame, each coefficient and each shot for itself.

    Args:
        expression: (T, K).
        shots: [start, end) of every stretch without a cut; all frames together when empty. Nothing is smoothed across
            a cut, and a stretch shorter than the window stays as it is.
        window: odd number of frames.
        order: of the polynomial, below the window.

    Returns:
        (T, K); windows at the edges of a shot use the polynomial of the outermost whole window.

    Raises:
        UsageError: an even window, or an order that does not fit it.
    """
    if window % 2 == 0 or not 0 <= order < window:
        raise UsageError(
            f"cannot smooth with window {window} and order {order}",
            "the window must be odd and larger than the order",
            f"the paper's values are {WINDOW} and {ORDER}",
        )
    from scipy.signal import savgol_filter

    out = np.array(expression, np.float64)
    for start, end in shots or [(0, len(out))]:
        if end - start >= window:
            out[start:end] = savgol_filter(out[start:end], window, order, axis=0, mode="interp")
    return out
