"""Losses of Wav2Lip's training (Prajwal et al. 2020, sec. 3; wav2lip_train.py and hq_wav2lip_train.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.baselines.wav2lip.networks import SIZE, SyncExpert

#: rows and columns of a crop that hold the mouth in every talk: below the middle, without the cheeks
MOUTH = (slice(SIZE // 2, SIZE), slice(SIZE // 5, SIZE - SIZE // 5))


def agreement(audio: Tensor, video: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy on the cosine of two (B, 512); target (B, 1).

    The cosine is kept off 0 and 1: rounding takes it out of [0, 1], where upstream's loss is not defined.
    """
    cosine = F.cosine_similarity(audio, video).clamp(1e-7, 1 - 1e-7)
    return F.binary_cross_entropy(cosine[:, None], target)


def sync_loss(expert: SyncExpert, mel: Tensor, drawn: Tensor) -> Tensor:
    """How little the expert believes (B, 3, 5, 96, 96) drawn faces to go with (B, 1, 80, 16)."""
    lower = drawn[:, :, :, SIZE // 2 :].transpose(1, 2).flatten(1, 2)  # (B, 15, 48, 96)
    audio, video = expert(mel, lower)
    return agreement(audio, video, torch.ones(len(mel), 1, device=mel.device))


def reconstruction(drawn: Tensor, target: Tensor, mouth_weight: float = 1.0) -> Tensor:
    """Mean absolute error of (B, 3, T, 96, 96), the mouth's pixels counted `mouth_weight` times; 1 is published."""
    weight = torch.ones(SIZE, SIZE, device=drawn.device)
    weight[MOUTH] = mouth_weight
    return ((drawn - target).abs() * weight).mean() / weight.mean()


@dataclass
class SyncSchedule:
    """The sync loss joins once the generator's held-out sync loss has fallen below a threshold, and stays.

    Upstream keeps this in a global that a resumed run forgets; here it is part of the checkpoint.
    """

    weight_when_on: float = 0.03
    threshold: float = 0.75
    on: bool = False

    @property
    def weight(self) -> float:
        return self.weight_when_on if self.on else 0.0

    def observe(self, held_out_sync: float) -> None:
        self.on = self.on or held_out_sync < self.threshold

    def state_dict(self) -> dict[str, Any]:
        return {"on": self.on}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.on = bool(state["on"])
