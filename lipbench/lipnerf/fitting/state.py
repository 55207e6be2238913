"""What a solver works on: parameters, their precisions, and which of them may move."""

from __future__ import annotations

from dataclasses import dataclass

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
