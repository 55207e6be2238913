"""Losses of Wav2Lip's training (Prajwal et al. 2020, sec. 3; wav2lip_train.py and hq_wav2lip_train.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.baselines.wav2lip.networks import SIZE, SYNC_FRAMES, SyncExpert

#: rows and columns of a crop that hold the mouth in every talk: below the middle, without the cheeks
MOUTH = (slice(SIZE // 2, SIZE), slice(SIZE // 5, SIZE - SIZE // 5))
#: A neighbor one frame away counts this much as a wrong answer: half a frame of doubt is in every label.
NEIGHBOR = 0.2


def agreement(audio: Tensor, video: Tensor, target: Tensor) -> Tensor:
    """Binary cross entropy on the cosine of two (B, 512); target (B, 1).

    The cosine is kept off 0 and 1: rounding takes it out of [0, 1], where upstream's loss is not defined.
    """
    cosine = F.cosine_similarity(audio, video).clamp(1e-7, 1 - 1e-7)
    return F.binary_cross_entropy(cosine[:, None], target)


def contrast(audio: Tensor, video: Tensor, stride: Tensor, scale: Tensor, wrong: Tensor | None = None) -> Tensor:
    """Softmax over the scaled cosine within each clip, averaged over both directions; not in the paper.

    Args:
        audio: (B, n, 512) of unit length, n windows of B clips.
        video: (B, n, 512) of unit length, n windows of B clips.
        stride: (B,) frames between them.
        scale: factor on the cosine.
        wrong: (B, m, 512) lips that go with none of the sounds.
    """
    b, n, _ = video.shape
    at = torch.arange(n, device=video.device)
    near = ((at[:, None] - at).abs() * stride[:, None, None] == 1) * math.log(NEIGHBOR)
    logits = scale * video @ audio.transpose(1, 2) + near  # (B, n video, n audio)
    to_lips = logits.transpose(1, 2)
    if wrong is not None:
        to_lips = torch.cat([to_lips, scale * audio @ wrong.transpose(1, 2)], dim=2)
    target = at.repeat(b)
    return (F.cross_entropy(logits.flatten(0, 1), target) + F.cross_entropy(to_lips.flatten(0, 1), target)) / 2


def windows(drawn: Tensor) -> Tensor:
    """(B, 3, T, 96, 96) -> (B (T - 4), 15, 48, 96): every window of five lower halves, clip after clip."""
    lower = drawn[:, :, :, SIZE // 2 :].transpose(1, 2)  # (B, T, 3, 48, 96)
    n = lower.shape[1] - SYNC_FRAMES + 1
    return torch.stack([lower[:, k : k + SYNC_FRAMES].flatten(1, 2) for k in range(n)], dim=1).flatten(0, 1)


def sync_loss(expert: SyncExpert, mel: Tensor, drawn: Tensor) -> Tensor:
    """How little the expert believes (B, 3, 5, 96, 96) drawn faces to go with (B, 1, 80, 16)."""
    audio, video = expert(mel, windows(drawn))
    return agreement(audio, video, torch.ones(len(mel), 1, device=mel.device))


def contrast_loss(expert: SyncExpert, scale: float, around: Tensor, valid: Tensor, drawn: Tensor, reach: int) -> Tensor:
    """How hard the expert finds it to tell a drawn window's own audio from those around it; not in the paper.

    Args:
        scale: factor on the cosine that the expert was trained with.
        around: of a `data.LipBatch` with `contrast` = reach.
        valid: of a `data.LipBatch` with `contrast` = reach.
        drawn: (B, 3, T, 96, 96).
    """
    b, k = around.shape[:2]
    n = drawn.shape[2] - SYNC_FRAMES + 1
    with torch.no_grad():
        audio = F.normalize(expert.audio_encoder(around.flatten(0, 1)).flatten(1), dim=1).view(b, k, -1)
    video = F.normalize(expert.face_encoder(windows(drawn)).flatten(1), dim=1).view(b, n, -1)
    own = torch.arange(n, device=drawn.device) + reach
    near = (torch.arange(k, device=drawn.device) - own[:, None]).abs() == 1
    logits = scale * video @ audio.transpose(1, 2) + near * math.log(NEIGHBOR)
    logits = logits.masked_fill(~valid[:, None], -1e4)
    return F.cross_entropy(logits.flatten(0, 1), own.repeat(b))


def reconstruction(
    drawn: Tensor,
    target: Tensor,
    mouth_weight: float = 1.0,
    reference: Tensor | None = None,
    change_weight: float = 0.0,
) -> Tensor:
    """Mean absolute error of (B, 3, T, 96, 96) images in [0, 1].

    Args:
        mouth_weight: how many times the mouth's pixels count; 1 is published.
        reference: the reference faces.
        change_weight: by how much a pixel counts more for each unit between target and reference, so that what is to
            be redrawn weighs more than what is to be left alone; 0 is published.
    """
    weight = torch.ones(SIZE, SIZE, device=drawn.device)
    weight[MOUTH] = mouth_weight
    if reference is not None and change_weight:
        weight = weight * (1 + change_weight * (target - reference).abs().mean(dim=1, keepdim=True))
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
