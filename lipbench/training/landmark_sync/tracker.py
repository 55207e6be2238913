"""How a real tracker sees a mouth: learned from MediaPipe's mesh on generated faces, whose true mouths are known.

The outer lips are seen well; the line where they meet is not, so gaps and the thickness of the lips err together.
`tools/fit_tracker_errors.py` makes the packaged file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

Array = NDArray[np.floating]
PATH = Path(__file__).with_name("tracker.npz")
_RIDGE = 0.02


@dataclass(frozen=True)
class TrackerErrors:
    """Seen measures = true measures @ response + noise, all without their means and in units of `unit`.

    Attributes:
        unit: (12,) deviation of the true measures, in distances of the outer eye corners.
        response: (12, 12).
        noise: (12, 12) lower triangle of the noise's covariance (Cholesky).
        memory: correlation of the noise with that of the frame before.
    """

    unit: Array
    response: Array
    noise: Array
    memory: float

    def save(self, path: Path) -> None:
        """As npz."""
        np.savez_compressed(path, unit=self.unit, response=self.response, noise=self.noise, memory=self.memory)

    def apply(self, rows: Array, rng: np.random.Generator, share: float, strength: float) -> Array:
        """(T, 12) measures without their mean -> as the tracker sees them.

        Args:
            share: of the way from the true measures to the tracker's response.
            strength: factor on the noise.
        """
        x = rows / self.unit
        x = x + share * (x @ self.response - x)
        white = rng.standard_normal((len(x) + 10, 12)) @ self.noise.T
        colored = lfilter([np.sqrt(1 - self.memory**2)], [1, -self.memory], white, axis=0)[10:]
        return np.asarray((x + strength * colored) * self.unit)


def fit(pairs: Sequence[tuple[Array, Array]]) -> TrackerErrors:
    """From (T, 12) true and seen measures of some clips, means away, by ridge regression."""
    unit = np.sqrt(np.mean([(true**2).mean(0) for true, _ in pairs], axis=0))
    x, y = (np.concatenate([pair[k] for pair in pairs]).astype(np.float64) / unit for k in (0, 1))
    response = np.linalg.solve(x.T @ x + _RIDGE * len(x) * np.eye(12), x.T @ y)
    left = [pair[1] / unit - pair[0] / unit @ response for pair in pairs]
    rest = np.concatenate(left)
    lagged = np.concatenate([one[1:] for one in left]), np.concatenate([one[:-1] for one in left])
    memory = float(np.median((lagged[0] * lagged[1]).mean(0) / (rest**2).mean(0)))
    covariance = rest.T @ rest / len(rest) + 1e-6 * np.eye(12)
    return TrackerErrors(unit, response, np.linalg.cholesky(covariance), memory)


@cache
def tracker_errors() -> TrackerErrors:
    """The packaged ones."""
    with np.load(PATH, allow_pickle=False) as z:
        return TrackerErrors(z["unit"], z["response"], z["noise"], float(z["memory"]))
