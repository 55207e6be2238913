"""A clip over time: frames without a face are filled from their neighbors, every other stays near their mean.

`found` tells which frames show a face. The smoothness term couples the frames, and `Smoothness.solve` solves the linear
systems that this makes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp
from torch import Tensor

from lipbench.lipnerf.fitting.state import FitState, Weights, log_rotation

Array = NDArray[Any]


class Smoothness:
    """Second differences over the frames of a clip, across no gap.

    Args:
        next_to: (T,) bool, frame t follows frame t - 1 without a gap.
    """

    def __init__(self, next_to: Tensor, weights: Weights) -> None:
        n = len(next_to)
        t = torch.arange(n, device=next_to.device)
        last = torch.cat([next_to[1:], next_to.new_zeros(1)])
        self.known = (next_to & last)[:, None].double()  # (T, 1): has both neighbors
        self.before, self.after = (t - 1).clamp_min(0), (t + 1).clamp_max(n - 1)
        self.weights = weights

    def residual(self, pose: bool, expression: bool, state: FitState) -> Tensor:
        """(T, P) difference to the mean of the neighbors: turn (3), shift (3), expression; 0 at ends and gaps."""
        r, before, after = state.rotation, self.before, self.after
        parts = []
        if pose:
            # x_t - (x_before + x_after) / 2 for turns relative to frame t
            parts.append(-(log_rotation(r[before] @ r.mT) + log_rotation(r[after] @ r.mT)) / 2)
            parts.append(self._bend(state.translation))
        if expression:
            parts.append(self._bend(state.expression))
        return self.known * torch.cat(parts, 1)

    def weight(self, pose: bool, expression: bool, state: FitState) -> Tensor:
        """(P,) precision of every column of `residual`."""
        w = self.weights
        parts = [w.smooth_rotation] * 3 + [w.smooth_translation] * 3 if pose else []
        parts = parts + [w.smooth_expression] * (state.expression.shape[1] if expression else 0)
        return state.expression.new_tensor(parts)

    def _bend(self, x: Tensor) -> Tensor:
        return self.known * (x - (x[self.before] + x[self.after]) / 2)

    def _back(self, r: Tensor) -> Tensor:
        """Transpose of `_bend`."""
        r = self.known * r
        out = r.clone()
        out.index_add_(0, self.before, -r / 2)
        out.index_add_(0, self.after, -r / 2)
        return out

    def solve(self, a: Tensor, g: Tensor, residual: Tensor, weight: Tensor, steps: int = 60) -> Tensor:
        """The step x (T, P) with (A + D' W D) x = -(g + D' W r): conjugate gradients, preconditioned by the frames' own
        blocks.

        Args:
            a: (T, P, P) and g: (T, P), normal equations of the single frames.
            residual: (T, P) r, and weight: (P,) W, of the second differences D.
        """
        right = -(g + self._back(weight * residual))
        own = a.clone()
        share = self.known.clone()
        share.index_add_(0, self.before, self.known / 4)
        share.index_add_(0, self.after, self.known / 4)
        own.diagonal(dim1=1, dim2=2).add_(share * weight)
        factor = torch.linalg.cholesky(own)

        def precondition(v: Tensor) -> Tensor:
            return torch.cholesky_solve(v[..., None], factor)[..., 0]

        if not bool((self.known * weight).any()):
            return precondition(right)
        x, rest = torch.zeros_like(right), right
        z = precondition(rest)
        direction, rho = z, (rest * z).sum()
        goal = 1e-8 * rho
        for _ in range(steps):
            if rho <= goal:
                break
            image = torch.einsum("tij,tj->ti", a, direction) + self._back(weight * self._bend(direction))
            alpha = rho / (direction * image).sum()
            x = x + alpha * direction
            rest = rest - alpha * image
            z = precondition(rest)
            new = (rest * z).sum()
            direction, rho = z + new / rho * direction, new
        return x


def fill(values: Array, found: NDArray[np.bool_]) -> Array:
    """(n, ...) values of the found frames -> (T, ...) of all: linear in between, constant beyond the ends."""
    frames, at = np.arange(len(found)), np.flatnonzero(found)
    flat = values.reshape(len(values), -1)
    out = np.stack([np.interp(frames, at, column) for column in flat.T], 1) if flat.shape[1] else flat
    return np.asarray(out.reshape(len(found), *values.shape[1:]))


def fill_rotations(values: Array, found: NDArray[np.bool_]) -> Array:
    """(n, 3, 3) -> (T, 3, 3): along the great arc in between, constant beyond the ends."""
    at = np.flatnonzero(found)
    if len(at) == 1:
        return np.repeat(values, len(found), 0)
    frames = np.clip(np.arange(len(found)), at[0], at[-1])
    return np.asarray(Slerp(at, Rotation.from_matrix(values))(frames).as_matrix())


def runs(found: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) for the found frames: whether the frame before it in time was found too."""
    at = np.flatnonzero(found)
    return np.r_[False, np.diff(at) == 1]
