"""The sync model's loss: a window of lips must find its own audio among its neighbors', and the other way round."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.metrics.sync.network import SyncNet

#: A neighbor one frame away counts this much as a wrong answer: half a frame of doubt is in every label.
NEIGHBOR = 0.2
#: By how much the distance is to grow per frame of shift, up to 8 frames.
STEP = 0.15


def flat_lip(net: SyncNet, frames: Tensor) -> Tensor:
    """`net.forward_lip` on (N, 15, size, size), time slowest, as 2-D convolutions: same numbers, faster on a CPU."""
    x = frames
    net_layers: Any = net.netcnnlip
    for layer in net_layers:
        if isinstance(layer, torch.nn.Conv3d):
            x = F.conv2d(x, layer.weight.transpose(1, 2).flatten(1, 2), layer.bias, layer.stride[1:], layer.padding[1:])
        elif isinstance(layer, torch.nn.BatchNorm3d):
            x = F.batch_norm(
                x,
                layer.running_mean,
                layer.running_var,
                layer.weight,
                layer.bias,
                layer.training,
                layer.momentum or 0.1,
                layer.eps,
            )
        elif isinstance(layer, torch.nn.MaxPool3d):
            kernel, stride, padding = (tuple(v)[1:] for v in (layer.kernel_size, layer.stride, layer.padding))  # type: ignore[arg-type]
            x = F.max_pool2d(x, kernel, stride, padding)
        else:
            x = layer(x)
    return net.netfclip(x.flatten(1))


def sync_loss(
    video: Tensor, audio: Tensor, log_scale: Tensor, still: Tensor | None = None, harm: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Softmax over minus the scaled L2 distance within each clip, averaged over both directions.

    Args:
        video: (B, n, E) embeddings of n consecutive windows of B clips.
        audio: (B, n, E) embeddings of n consecutive windows of B clips.
        log_scale: scalar, log of the factor on the distances; learned.
        still: (B, m, E) embeddings of damped or frozen lips of the same clips: wrong answers for every sound.
        harm: 0..1, how much the hard wrong answers (neighbors, still lips) count; below 1 early in training.

    Returns:
        The loss, and the share of windows that find their own audio, both scalars.
    """
    b, n, _ = video.shape
    distance = torch.cdist(video, audio)  # B, n video, n audio
    at = torch.arange(n, device=video.device)
    near = (at[:, None] - at).abs() == 1
    logits = -distance * log_scale.exp() + near * math.log(NEIGHBOR * harm + 1e-4)
    target = at.repeat(b)
    to_sound = F.cross_entropy(logits.flatten(0, 1), target)
    to_lips = logits.transpose(1, 2)
    if still is not None:
        wrong = -torch.cdist(audio, still) * log_scale.exp() + math.log(harm + 1e-4)  # B, n audio, m
        to_lips = torch.cat([to_lips, wrong], dim=2)
    loss = (to_sound + F.cross_entropy(to_lips.flatten(0, 1), target)) / 2
    if harm > 0:
        loss = loss + harm * ordered(distance)
    right = ((-distance).argmax(2) == at).float().mean()
    return loss, right.detach()


def ordered(distance: Tensor) -> Tensor:
    """How far the mean distance falls short of growing with the shift.

    The softmax alone pushes shifts of 2 or 3 frames farthest away, and a mouth delayed by six would look better than
    one delayed by three.

    Args:
        distance: (B, n, n), video by audio window.

    Returns:
        Scalar: sum over shifts k < n / 2 of max(0, d(k) + STEP - d(k + 1)), d averaged over clips and both signs.
    """
    n = distance.shape[1]
    at = torch.arange(n, device=distance.device)
    apart = (at[:, None] - at).abs()
    means = torch.stack([distance[:, apart == k].mean() for k in range(n // 2 + 1)])
    return F.relu(means[:-1] + STEP - means[1:]).sum()
