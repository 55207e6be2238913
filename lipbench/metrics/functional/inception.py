"""The Inception network of FID: TensorFlow's of 2015 as pytorch-fid carries it, up to the last mean.

Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016, with torchvision's names. Unlike
torchvision's, means beside the convolutions leave the border out, and in the last block the largest value is taken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lipbench.core import weights
from lipbench.core.weights import states, torch_file
from lipbench.metrics.arrays import Frame

#: In the weights registry.
NAME = "fid-inception"
#: Sides of its input, px, and numbers that it gives.
SIDE, WIDTH = 299, 2048
#: Frames at once.
BATCH = 8

Side = int | tuple[int, int]


class Layer(NamedTuple):
    """A convolution: its name, channels, kernel (rows, columns) and stride."""

    name: str
    channels: int
    kernel: Side = 1
    stride: int = 1


class Branch(NamedTuple):
    """Layers in a row, and those that stand beside each other at its end; `pool` comes first."""

    chain: Sequence[Layer]
    ends: Sequence[Layer] = ()
    pool: str = ""


def _mean(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


_POOLS = {
    "": lambda x: x,
    "mean": _mean,
    "max": lambda x: functional.max_pool2d(x, 3, stride=1, padding=1),
    "half": lambda x: functional.max_pool2d(x, 3, stride=2),
}


def _a(pooled: int) -> list[Branch]:
    return [
        Branch([Layer("branch1x1", 64)]),
        Branch([Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, 5)]),
        Branch([Layer("branch3x3dbl_1", 64), Layer("branch3x3dbl_2", 96, 3), Layer("branch3x3dbl_3", 96, 3)]),
        Branch([Layer("branch_pool", pooled)], pool="mean"),
    ]


def _b() -> list[Branch]:
    return [
        Branch([Layer("branch3x3", 384, 3, 2)]),
        Branch([Layer("branch3x3dbl_1", 64), Layer("branch3x3dbl_2", 96, 3), Layer("branch3x3dbl_3", 96, 3, 2)]),
        Branch([], pool="half"),
    ]


def _c(inner: int) -> list[Branch]:
    row, column = (1, 7), (7, 1)
    double = [Layer(f"branch7x7dbl_{k}", inner, side) for k, side in zip((2, 3, 4), (column, row, column), strict=True)]
    return [
        Branch([Layer("branch1x1", 192)]),
        Branch([Layer("branch7x7_1", inner), Layer("branch7x7_2", inner, row), Layer("branch7x7_3", 192, column)]),
        Branch([Layer("branch7x7dbl_1", inner), *double, Layer("branch7x7dbl_5", 192, row)]),
        Branch([Layer("branch_pool", 192)], pool="mean"),
    ]


def _d() -> list[Branch]:
    inner = [Layer("branch7x7x3_1", 192), Layer("branch7x7x3_2", 192, (1, 7)), Layer("branch7x7x3_3", 192, (7, 1))]
    return [
        Branch([Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, 3, 2)]),
        Branch([*inner, Layer("branch7x7x3_4", 192, 3, 2)]),
        Branch([], pool="half"),
    ]


def _e(pool: str) -> list[Branch]:
    def ends(name: str) -> list[Layer]:
        return [Layer(f"{name}a", 384, (1, 3)), Layer(f"{name}b", 384, (3, 1))]

    return [
        Branch([Layer("branch1x1", 320)]),
        Branch([Layer("branch3x3_1", 384)], ends("branch3x3_2")),
        Branch([Layer("branch3x3dbl_1", 448), Layer("branch3x3dbl_2", 384, 3)], ends("branch3x3dbl_3")),
        Branch([Layer("branch_pool", 192)], pool=pool),
    ]


#: Single layers, from the picture on; None halves it.
STEM: tuple[Layer | None, ...] = (
    Layer("Conv2d_1a_3x3", 32, 3, 2),
    Layer("Conv2d_2a_3x3", 32, 3),
    Layer("Conv2d_2b_3x3", 64, 3),
    None,
    Layer("Conv2d_3b_1x1", 80),
    Layer("Conv2d_4a_3x3", 192, 3),
    None,
)
#: Block -> its branches, behind the stem.
BLOCKS: Mapping[str, list[Branch]] = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _b(),
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _d(),
    "Mixed_7b": _e("mean"),
    "Mixed_7c": _e("max"),
}


class Convolution(nn.Module):
    """A convolution without bias, its batch normalization, and what is below zero cut off."""

    def __init__(self, before: int, layer: Layer, padding: Side) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, layer.channels, layer.kernel, layer.stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(layer.channels, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class Block(nn.Module):
    """Branches beside each other; their channels are put behind each other."""

    def __init__(self, before: int, branches: list[Branch]) -> None:
        super().__init__()
        self.branches, self.channels = branches, 0
        for branch in branches:
            last = before
            for layer in branch.chain:
                self.add_module(layer.name, Convolution(last, layer, _same(layer)))
                last = layer.channels
            for layer in branch.ends:
                self.add_module(layer.name, Convolution(last, layer, _same(layer)))
            self.channels += sum(layer.channels for layer in branch.ends) or last

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for branch in self.branches:
            y = _POOLS[branch.pool](x)
            for layer in branch.chain:
                y = self.get_submodule(layer.name)(y)
            found += [self.get_submodule(layer.name)(y) for layer in branch.ends] or [y]
        return torch.cat(found, dim=1)


def _same(layer: Layer) -> Side:
    """Padding that keeps the size; layers that halve the picture have none."""
    if layer.stride > 1:
        return 0
    rows, columns = (layer.kernel,) * 2 if isinstance(layer.kernel, int) else layer.kernel
    return rows // 2, columns // 2


class Inception(nn.Module):
    """(N, 3, H, W) pictures in 0..1 -> (N, 2048) features."""

    def __init__(self) -> None:
        super().__init__()
        before = 3
        for layer in STEM:
            if layer is not None:
                # The stem keeps no border, but for its third layer.
                self.add_module(layer.name, Convolution(before, layer, 1 if layer.name == "Conv2d_2b_3x3" else 0))
                before = layer.channels
        for name, branches in BLOCKS.items():
            block = Block(before, branches)
            self.add_module(name, block)
            before = block.channels

    def forward(self, x: Tensor) -> Tensor:
        x = functional.interpolate(x, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        x = 2 * x - 1
        for layer in STEM:
            x = _POOLS["half"](x) if layer is None else self.get_submodule(layer.name)(x)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))


@lru_cache(maxsize=2)
def _load(path: str, device: str) -> Inception:
    fix = f"run `lipbench weights get {NAME} --again`"
    state = {k: v for k, v in torch_file.state_dict(path, fix).items() if not k.startswith("fc.")}
    return states.filled(Inception(), state, Path(path), fix).to(device)


def load(device: str = "cpu") -> Inception:
    """The network with its published weights.

    Raises:
        WeightsMissing, WeightsMismatch: they are not on this machine, or not the pinned ones.
    """
    return _load(str(weights.path(NAME)), device)


@torch.inference_mode()
def features(net: Inception, frames: Frame) -> NDArray[np.float64]:
    """(N, 2048) of (N, H, W, 3) uint8 RGB frames.

    Examples:
        >>> import numpy as np
        >>> features(Inception().eval(), np.zeros((1, 64, 64, 3), np.uint8)).shape
        (1, 2048)
    """
    device = next(net.parameters()).device
    found = []
    for first in range(0, len(frames), BATCH):
        some = torch.from_numpy(np.ascontiguousarray(frames[first : first + BATCH])).to(device)
        found.append(net(some.permute(0, 3, 1, 2).float() / 255).cpu().double().numpy())
    return np.concatenate(found)
