"""What a solver works on: parameters, their precisions, which of them may move, and rotations in torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

POSE = 6  # turn and shift


@dataclass(frozen=True)
class FitState:
    """Parameters of T frames. identity (K_id,), expression (T, K_exp), rotation (T, 3, 3), translation (T, 3) dm,
    focal () px."""

    identity: Tensor
    expression: Tensor
    rotation: Tensor
    translation: Tensor
    focal: Tensor


@dataclass(frozen=True)
class Weights:
    """Precisions.

    Attributes:
        sigma: expected landmark error as a share of the face's size.
        expression: of the priors, per squared standard deviation.
        identity: of the priors, per squared standard deviation.
        frames: how many frames' worth of independent evidence a clip holds about the identity.
        smooth_expression: per squared standard deviation.
        smooth_rotation: per squared radian.
        smooth_translation: per squared dm. All of the difference to the mean of the two neighbors.
        focal: per squared natural logarithm of the focal length over `focal_guess`.
            Landmarks alone hardly tell a long lens from a flat face.
        focal_guess: as a multiple of the shorter image side.
    """

    sigma: float = 0.02
    expression: float = 1.0
    identity: float = 3.0
    frames: float = 20.0
    smooth_expression: float = 1.0
    smooth_rotation: float = 2e4
    smooth_translation: float = 5e3
    focal: float = 40.0
    focal_guess: float = 2.4


@dataclass(frozen=True)
class Free:
    """What a solve may change."""

    pose: bool = True
    expression: bool = True
    identity: bool = False


def skew(v: Tensor) -> Tensor:
    """(..., 3) -> (..., 3, 3) with skew(v) @ x = v x x."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(-1, (3, 3))


def exp_rotation(v: Tensor) -> Tensor:
    """(..., 3) axis times angle -> (..., 3, 3) rotation (Rodrigues)."""
    angle = v.norm(dim=-1)[..., None, None]
    k = skew(v)
    # sin(a)/a and (1 - cos(a))/a^2, by their series near 0
    small = angle < 1e-6
    safe = torch.where(small, torch.ones_like(angle), angle)
    a = torch.where(small, 1 - angle**2 / 6, safe.sin() / safe)
    b = torch.where(small, 0.5 - angle**2 / 24, (1 - safe.cos()) / safe**2)
    return torch.eye(3, dtype=v.dtype, device=v.device) + a * k + b * (k @ k)


def log_rotation(r: Tensor) -> Tensor:
    """(..., 3, 3) rotation -> (..., 3) axis times angle, for angles below 180 degrees."""
    axis = torch.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1)
    sine = axis.norm(dim=-1) / 2
    cosine = (r.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    angle = torch.atan2(sine, cosine)
    factor = torch.where(sine > 1e-9, angle / (2 * sine.clamp_min(1e-12)), torch.full_like(sine, 0.5))
    return axis * factor[..., None]
