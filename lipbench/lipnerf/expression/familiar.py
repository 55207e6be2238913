"""Keeps driving expressions where the field was trained: outside of that it answers with noise, not with a face."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
#: How far a direction may go beyond its range in training, as a share of that range.
SLACK = 0.15


@dataclass(frozen=True)
class Familiar:
    """The box that a clip's expressions fill, along their own principal axes.

    Attributes:
        mean: (K,). axes: (K, K) orthonormal rows, the directions in which the clip's expressions vary most first.
        low, high: (K,) range along each axis.
    """

    mean: Array
    axes: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, expression: Array) -> Familiar:
        """The box of (T, K) training expressions."""
        mean = expression.mean(0)
        centred = expression - mean
        # Of the K x K moment, so that the axes span the space even for clips of fewer than K frames.
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1].T
        along = centred @ axes.T
        return cls(mean, axes, along.min(0), along.max(0))

    def hold(self, expression: Array, slack: float = SLACK) -> tuple[Array, float]:
        """(N, K) expressions moved into the box, and the share of their energy that was cut off."""
        along = (expression - self.mean) @ self.axes.T
        room = slack * (self.high - self.low)
        held = np.clip(along, self.low - room, self.high + room)
        lost = float(((along - held) ** 2).sum() / max(float((along**2).sum()), 1e-12))
        return self.mean + held @ self.axes, lost

    def save(self, path: Path) -> Path:
        """Write as npz; returns the path."""
        np.savez(path, mean=self.mean, axes=self.axes, low=self.low, high=self.high)
        return path

    @classmethod
    def load(cls, path: Path) -> Familiar:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as z:
            return cls(z["mean"], z["axes"], z["low"], z["high"])
