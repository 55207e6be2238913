"""What the sync model on landmarks learns: which of 31 shifts of the audio fits, and whose audio it is."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.metrics.sync.protocol import VSHIFT

#: Frames that similarities are averaged over before the shifts compete, and what each length counts.
SPANS = ((1, 0.5), (7, 1.0), (21, 1.0))
#: A shift of one frame is hardly heard: it counts as nearly right.
RIGHT, NEARLY = 0.7, 0.15
OTHER_CLIPS = 0.5


def similarities(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """Of every frame with the other side at every shift.

    Args:
        queries: (B, E, N).
        keys: (B, E, N).

    Returns:
        (B, N, 31), and (N, 31) whether both frames exist; entry j of frame t is with frame t + j - 15.
    """
    n = queries.shape[2]
    shifted = F.pad(keys, (VSHIFT, VSHIFT)).unfold(2, n, 1)  # (B, E, 31, N)
    shift = torch.arange(2 * VSHIFT + 1, device=queries.device) - VSHIFT
    at = torch.arange(n, device=queries.device)[:, None] + shift
    return torch.einsum("ben,bekn->bnk", queries, shifted), (at >= 0) & (at < n)


def shift_loss(queries: Tensor, keys: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy over the shifts within a clip, over several lengths of time."""
    found, there = similarities(queries, keys)
    target = torch.zeros(2 * VSHIFT + 1, device=found.device)
    target[VSHIFT - 1 : VSHIFT + 2] = torch.tensor([NEARLY, RIGHT, NEARLY], device=found.device)
    total = found.new_zeros(())
    for span, weight in SPANS:
        step = max(1, span // 3)
        mean = F.avg_pool1d(found.transpose(1, 2), span, step).transpose(1, 2)
        whole = F.avg_pool1d(there.float().T[None], span, step)[0].T > 0.999
        logits = (mean * scale * span**0.5 / 1.5).masked_fill(~whole, -1e4)
        wanted = target * whole
        wanted = wanted / wanted.sum(-1, keepdim=True)
        rows = -(wanted * logits.log_softmax(-1)).sum(-1)
        total = total + weight * rows[:, whole[:, VSHIFT]].mean()
    return total


def sync_loss(mouth: Tensor, sound: Tensor, log_scale: Tensor) -> Tensor:
    """Loss of (B, E, N) embeddings of B clips in sync.

    Source:
        Contrast over shifts: Afouras et al., "Self-supervised learning of audio-visual objects" (2020), section 3.1.
        Contrast over clips: van den Oord et al., "Representation learning with contrastive predictive coding" (2018).
    """
    scale = log_scale.exp()
    within = shift_loss(mouth, sound, scale) + shift_loss(sound, mouth, scale)
    across = torch.einsum("ben,cen->bc", mouth, sound) / mouth.shape[2] * scale * 3
    own = torch.arange(len(across), device=across.device)
    return within + OTHER_CLIPS * (F.cross_entropy(across, own) + F.cross_entropy(across.T, own))
