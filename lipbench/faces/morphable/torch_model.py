"""A `MorphableModel` in torch, for fitting: bases as buffers, gradients to the coefficients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.faces.morphable.base import MorphableModel


class TorchMorphableModel(nn.Module):
    """Evaluates a model's vertices and albedo differentiably.

    Args:
        model: the numpy model.
        subset: vertex numbers to keep (None = all): a landmark stage needs 68 of tens of thousands.
    """

    mean: Tensor
    identity_basis: Tensor
    expression_basis: Tensor
    albedo_mean: Tensor
    albedo_basis: Tensor

    def __init__(self, model: MorphableModel, subset: np.ndarray | None = None) -> None:
        super().__init__()
        self.name = model.name
        rows = slice(None) if subset is None else np.asarray(subset)

        def scaled(basis: np.ndarray, sigma: np.ndarray) -> Tensor:  # (K, n, 3), sigma folded in -> (K, 3n)
            kept = basis[:, rows] * sigma[:, None, None] if len(sigma) else np.zeros((0, 0, 3))
            return torch.from_numpy(np.ascontiguousarray(kept.reshape(len(sigma), -1), np.float32))

        self.register_buffer("mean", torch.from_numpy(np.ascontiguousarray(model.mean[rows], np.float32)))  # (n, 3)
        self.register_buffer("identity_basis", scaled(model.identity_basis, model.identity_sigma))
        self.register_buffer("expression_basis", scaled(model.expression_basis, model.expression_sigma))
        colors = model.albedo_mean[rows] if len(model.albedo_mean) else np.zeros((0, 3))
        self.register_buffer("albedo_mean", torch.from_numpy(np.ascontiguousarray(colors, np.float32)))
        self.register_buffer("albedo_basis", scaled(model.albedo_basis, model.albedo_sigma))

    def vertices(self, identity: Tensor | None = None, expression: Tensor | None = None) -> Tensor:
        """(..., K_id), (..., K_exp) in standard deviations -> (..., n, 3) dm."""
        out = self.mean
        if identity is not None:
            out = out + (identity @ self.identity_basis).unflatten(-1, (-1, 3))
        if expression is not None:
            out = out + (expression @ self.expression_basis).unflatten(-1, (-1, 3))
        return out

    def albedo(self, coefficients: Tensor | None = None) -> Tensor:
        """(..., K_alb) -> (..., n, 3) display RGB."""
        if coefficients is None:
            return self.albedo_mean
        return self.albedo_mean + (coefficients @ self.albedo_basis).unflatten(-1, (-1, 3))

    forward = vertices
