"""The weights of SyncNet's two streams, folded for scoring: batch norm into the weights, time into the channels.

The first layer of the mouth's stream, the only one that sees time, becomes a Conv2d over 5 x 3 channels, and the last
convolution of both, whose map is one pixel, a matrix product. On a CPU the others go through Winograd's, where they
are large enough for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lipbench.metrics.functional.winograd import Winograd

_CONVS = (0, 4, 8, 11, 14, 18)  # position of the convolutions in both published streams
#: Outputs of Winograd's tiles, down and across, of the first five: what fills their maps with the least work.
AUDIO_TILES = ((4, 4), (4, 4), (4, 3), (4, 3), (4, 3))
VIDEO_TILES = ((5, 5), (4, 4), (4, 4), (4, 4), (4, 4))
#: Weights from which on Winograd's is faster: the small sync model, a quarter as wide, has fewer in each layer.
WORTH = 65_536


def _fuse(fuse: Any, layer: nn.Module, norm: nn.Module) -> Any:
    return fuse(layer, norm)


class Stream:
    """Folded weights of one stream: six convolutions (the last as a matrix), two linear layers.

    Attributes:
        layers: the first five convolutions, each with its ReLU.
        linear: weight and bias of the last one and the linear layers.
    """

    def __init__(
        self,
        convs: nn.Sequential,
        head: nn.Sequential,
        tiles: tuple[tuple[int, int], ...],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        fused = [_fuse(fuse_conv_bn_eval, convs[i], convs[i + 1]) for i in _CONVS]
        conv = [(self._flat(layer.weight.detach()), layer.bias.detach()) for layer in fused]
        *put, (last, bias) = [(self._put(weight, device, dtype), bias.to(device, dtype)) for weight, bias in conv]
        self.layers = [
            _rectified(*weights, layer.stride[-1], layer.padding[-1], tile)
            for weights, layer, tile in zip(put, fused[:-1], tiles, strict=True)
        ]
        last = last.permute(0, 2, 3, 1).flatten(1).contiguous()  # channels-last order
        first: Any = _fuse(fuse_linear_bn_eval, head[0], head[1])
        second: Any = head[3]
        self.linear = [(last, bias)] + [
            (fc.weight.detach().to(device, dtype), fc.bias.detach().to(device, dtype)) for fc in (first, second)
        ]

    @staticmethod
    def _flat(weight: Tensor) -> Tensor:
        """(out, in, time, h, w) -> (out, time * in, h, w), time slowest."""
        return weight.transpose(1, 2).flatten(1, 2) if weight.ndim == 5 else weight

    @staticmethod
    def _put(weight: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
        return weight.to(device, dtype).contiguous(memory_format=torch.channels_last)

    def head(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1).flatten(1)
        for weight, bias in self.linear[:-1]:
            x = F.linear(x, weight, bias).relu_()
        return F.linear(x, *self.linear[-1])


def _rectified(
    weight: Tensor, bias: Tensor, stride: int, padding: int, tile: tuple[int, int]
) -> Callable[[Tensor], Tensor]:
    """A convolution and its ReLU, by Winograd's where that is faster: in single precision on a CPU."""
    if weight.device.type == "cpu" and weight.dtype == torch.float32 and weight.numel() >= WORTH:
        return Winograd(weight, bias, stride, padding, tile)
    return lambda x: F.conv2d(x, weight, bias, stride, padding).relu_()
