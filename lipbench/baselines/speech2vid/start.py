"""How the generator begins: layers that let what comes through the bottleneck pass."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from lipbench.baselines.speech2vid.networks import Speech2VidNet


@torch.no_grad()
def even(net: Speech2VidNet, sound: Tensor, stills: Tensor) -> None:
    """Scale every layer behind the bottleneck until its answers to the batch differ with standard deviation 1.

    (Mishkin and Matas, All you need is a good init, ICLR 2016.) These layers have no batch norm; left alone, what comes
    through the bottleneck, the sound, is 60 times weaker than the skip it is joined to, and the network never hears it.
    """

    def scale(layer: torch.nn.Module, _: Any, out: Tensor) -> Tensor:
        size = out.std(0).mean().clamp_min(1e-3)  # a layer that is dead for this batch is left near to where it is
        for weight in layer.parameters():
            weight.div_(size)
        return out / size

    names = [name for name, _ in net.named_children()]
    decoder = names[names.index("conv8") : names.index("conv5_3")]
    hooks = [getattr(net, name).register_forward_hook(scale) for name in decoder]
    net.train()(sound, stills)
    for hook in hooks:
        hook.remove()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.reset_running_stats()
