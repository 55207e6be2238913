"""Rotations for solvers: exponential and logarithm, batched, in torch."""

from __future__ import annotations

import torch
from torch import Tensor


def skew(v: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) with skew(v) @ x = v x x."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(-1, (3, 3))


def exp(v: Tensor) -> Tensor:
    """(..., 3) axis times angle -> (..., 3, 3) rotation (Rodrigues)."""
    angle = v.norm(dim=-1)[..., None, None]
    k = skew(v)
    # sin(a)/a and (1 - cos(a))/a^2, by their series near 0
    small = angle < 1e-6
    safe = torch.where(small, torch.ones_like(angle), angle)
    a = torch.where(small, 1 - angle**2 / 6, safe.sin() / safe)
    b = torch.where(small, 0.5 - angle**2 / 24, (1 - safe.cos()) / safe**2)
    return torch.eye(3, dtype=v.dtype, device=v.device) + a * k + b * (k @ k)


def log(r: Tensor) -> Tensor:
    """(..., 3, 3) rotation -> (..., 3) axis times angle, for angles below 180 degrees."""
    axis = torch.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1)
    sine = axis.norm(dim=-1) / 2
    cosine = (r.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = torch.atan2(sine, cosine)
    factor = torch.where(sine > 1e-9, angle / (2 * sine.clamp_min(1e-12)), torch.full_like(sine, 0.5))
    return axis * factor[..., None]
