"""The convolutions under LPIPS: torchvision's AlexNet and VGG-16 up to their last tapped layer, and files of both.

The layers stand where torchvision has them in `features`, so their indices are the keys of its state dicts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.core.errors import WeightsMismatch
from lipbench.core.weights import torch_file
from lipbench.metrics.lpips_weights import FILES, Net

#: Indices of the tapped layers, ReLUs all, and the channels of each.
TAPPED: dict[Net, dict[int, int]] = {
    "alex": {1: 64, 4: 192, 7: 384, 9: 256, 11: 256},
    "vgg": {3: 64, 8: 128, 15: 256, 22: 512, 29: 512},
}
#: VGG-16 by columns: 3x3 convolutions of so many channels; 0 halves the picture.
_VGG = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512)


def layers(net: Net) -> nn.Sequential:
    """The trunk without weights.

    Examples:
        >>> layers("alex")[0]
        Conv2d(3, 64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2))
        >>> sum(p.numel() for p in layers("vgg").parameters())
        14714688
    """
    return nn.Sequential(*(_alex() if net == "alex" else _vgg()))


def _alex() -> list[nn.Module]:
    return [
        nn.Conv2d(3, 64, 11, stride=4, padding=2),  # 0   (H, W) -> about (H, W) / 4
        nn.ReLU(inplace=True),  # 1   tapped
        nn.MaxPool2d(3, stride=2),  # 2
        nn.Conv2d(64, 192, 5, padding=2),  # 3
        nn.ReLU(inplace=True),  # 4   tapped
        nn.MaxPool2d(3, stride=2),  # 5
        nn.Conv2d(192, 384, 3, padding=1),  # 6
        nn.ReLU(inplace=True),  # 7   tapped
        nn.Conv2d(384, 256, 3, padding=1),  # 8
        nn.ReLU(inplace=True),  # 9   tapped
        nn.Conv2d(256, 256, 3, padding=1),  # 10
        nn.ReLU(inplace=True),  # 11  tapped
    ]


def _vgg() -> list[nn.Module]:
    made: list[nn.Module] = []
    before = 3
    for channels in _VGG:
        if channels:
            made += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            before = channels
        else:
            made.append(nn.MaxPool2d(2, stride=2))
    return made


def read_trunk(path: Path, net: Net) -> dict[str, Tensor]:
    """A trunk's state dict under torchvision's keys.

    Args:
        path: torchvision's checkpoint, or a .ckpt: a pickle of plain arrays with the same convolutions, whose kernels
            are (height, width, in, out).

    Raises:
        UsageError: a .ckpt that asks for more than arrays.
        WeightsMismatch: a .ckpt of another network.
    """
    if path.suffix != ".ckpt":
        return torch_file.state_dict(path, f"`lipbench weights get {FILES[net].trunk} --again`")
    from lipbench.faces.morphable.unpickle import load_pickle

    convolutions = [i for i, layer in enumerate(layers(net)) if isinstance(layer, nn.Conv2d)]
    try:
        arrays: dict[str, Any] = load_pickle(path)["AlexNet_0" if net == "alex" else "VGG16_0"]
        state = {}
        for k, i in enumerate(convolutions):
            kernel, bias = (np.asarray(arrays[f"Conv_{k}"][part], np.float32) for part in ("kernel", "bias"))
            state[f"features.{i}.weight"] = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
            state[f"features.{i}.bias"] = torch.from_numpy(bias.copy())
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsMismatch(
            f"{path} does not hold {FILES[net].title}",
            f"{type(error).__name__}: {error}",
            f"run `lipbench weights get {FILES[net].trunk} --again`",
        ) from error
    return state
