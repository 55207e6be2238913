"""Driving expressions about the clip's own mean: what a lip source and a tracker get wrong in all frames goes out.

A lip source has an idea of its own of a mouth at rest, and a tracker reads its soft lips a little too low or too high,
in every frame alike. What people say evens out over some seconds: the mean expression of a person's speech is nearly
the same in any two stretches of it. So far as both stretches are long enough to tell, the difference of the means is
the lip source's error, not the dub's:

    e' = e + w (mean(own) - mean(e)),    w = n / (n + PATIENCE) min(1, spread(own) / spread(e)),    n the shorter one

The less the clip moves against the dub the less its mean is that of speech: that of a silent one is a closed mouth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: Seconds of speech after which half of a difference of means is believed.
PATIENCE = 2.0


def centered(expression: Array, own: Array, fps: float) -> tuple[Array, float]:
    """Expressions (N, K) of a dub, about the mean of the clip's own (T, K), and the share w of the way they went."""
    seconds = min(len(expression), len(own)) / fps
    spread, needed = (float(np.sqrt(e.var(0).sum())) for e in (own, expression))
    share = seconds / (seconds + PATIENCE) * min(1.0, spread / max(needed, 1e-12))
    return expression + share * (own.mean(0) - expression.mean(0)), share
