"""Keeps driving expressions where the field was trained: outside of that it answers with noise, not with a face."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.weights.opening import reading

Array = NDArray[np.float64]
#: How far a direction may go beyond its range in training, as a share of that range.
SLACK = 0.15
#: Directions beyond this share of the training's variance are mostly the fit's noise: they are held within one standard
#: deviation, and what is left of them may not add up to more than any training frame had.
SIGNAL = 0.998


@dataclass(frozen=True)
class ExpressionRange:
    """Where a clip's expressions lie, along their own principal axes.

    Attributes:
        mean: (K,).
        axes: (K, K) orthonormal rows, the directions in which the clip's expressions vary most first.
        low: (K,) range along each axis.
        high: (K,) range along each axis.
        sigma: (K,) standard deviation.
        reach: largest distance from the mean of any frame, in standard deviations of the leading directions.
    """

    mean: Array
    axes: Array
    low: Array
    high: Array
    sigma: Array
    reach: float

    @property
    def leading(self) -> int:
        """How many directions carry `SIGNAL` of the variance."""
        share = np.cumsum(self.sigma**2) / max(float((self.sigma**2).sum()), 1e-12)
        return int(np.searchsorted(share, SIGNAL) + 1)

    @classmethod
    def of(cls, expression: Array) -> ExpressionRange:
        """The box of (T, K) training expressions."""
        mean = expression.mean(0)
        centered = expression - mean
        # Of the K x K moment, so that the axes span the space even for clips of fewer than K frames.
        axes = np.linalg.eigh(centered.T @ centered)[1][:, ::-1].T
        along = centered @ axes.T
        sigma = along.std(0)
        box = cls(mean, axes, along.min(0), along.max(0), sigma, 0.0)
        k = box.leading
        reach = float(np.linalg.norm(along[:, :k] / np.maximum(sigma[:k], 1e-12), axis=1).max())
        return replace(box, reach=reach)

    def clamp(self, expression: Array, slack: float = SLACK) -> tuple[Array, float]:
        """(N, K) expressions moved to where training was, and the share of their energy that was cut off."""
        along, k = (expression - self.mean) @ self.axes.T, self.leading
        room = slack * (self.high - self.low)
        held = np.clip(along, self.low - room, self.high + room)
        held[:, k:] = np.clip(held[:, k:], -self.sigma[k:], self.sigma[k:])
        away = np.linalg.norm(held[:, :k] / np.maximum(self.sigma[:k], 1e-12), axis=1)
        held[:, :k] *= np.minimum(1.0, (1 + slack) * self.reach / np.maximum(away, 1e-12))[:, None]
        lost = float(((along - held) ** 2).sum() / max(float((along**2).sum()), 1e-12))
        return self.mean + held @ self.axes, lost

    def save(self, path: Path) -> Path:
        """Write as npz; returns the path."""
        np.savez(path, **vars(self))
        return path

    @classmethod
    def load(cls, path: Path) -> ExpressionRange:
        """What `save` wrote.

        Raises:
            WeightsMissing, WeightsError: no such file, or another one.
        """
        with reading(path, "fit the clip again") as path, np.load(path, allow_pickle=False) as z:
            return cls(z["mean"], z["axes"], z["low"], z["high"], z["sigma"], float(z["reach"]))
