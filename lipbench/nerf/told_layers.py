"""The tri-plane's small network on a CPU: layers that are told the codes of frames, their derivative written out.

Samples of one frame follow each other, so its code is a bias of a layer and enters once, not with every sample. A few
frames go through all layers together, as many as a core's cache holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BLOCK = 2048  # samples, about, that go through all layers together


def told_layers(features: Tensor, biases: Sequence[Tensor], weights: Sequence[Tensor], bias: Tensor) -> Tensor:
    """Hidden layers with a ReLU each, and a last one without.

    Args:
        features: (F, N, I) of N samples of each frame.
        biases: (F, W) of each hidden layer.
        weights: (W, I), (W, W), ... of the hidden layers, (O, W) of the last.
        bias: (O,) of the last layer.

    Returns:
        (F, N, O).
    """
    out: Tensor = _Layers.apply(features, bias, *biases, *weights)
    return out


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, bias: Tensor, *told: Tensor) -> Tensor:
        biases, weights = told[: len(told) // 2], told[len(told) // 2 :]
        hidden = [features.new_empty(*features.shape[:2], len(weight)) for weight in weights[:-1]]
        out = features.new_empty(*features.shape[:2], len(bias))
        for part in _blocks(features):
            below = features[part].flatten(0, 1)
            for added, weight, made in zip(biases, weights, hidden, strict=False):
                rows = made[part].flatten(0, 1)
                torch.mm(below, weight.t(), out=rows)
                made[part].add_(added[part, None]).relu_()
                below = rows
            torch.addmm(bias, below, weights[-1].t(), out=out[part].flatten(0, 1))
        ctx.save_for_backward(features, *hidden, *weights)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor, ...]:
        depth = len(ctx.saved_tensors) // 2
        inputs, weights = ctx.saved_tensors[:depth], ctx.saved_tensors[depth:]
        to_features, to_weights = torch.empty_like(inputs[0]), [torch.zeros_like(weight) for weight in weights]
        to_biases = [made.new_empty(len(made), made.shape[2]) for made in inputs[1:]]
        above = given[0].contiguous()
        for part in _blocks(above):
            d = above[part].flatten(0, 1)
            for k in range(depth - 1, 0, -1):
                made = inputs[k][part]
                to_weights[k].addmm_(d.t(), made.flatten(0, 1))
                d = torch.mm(d, weights[k])
                torch.ops.aten.threshold_backward.grad_input(d, made.flatten(0, 1), 0, grad_input=d)
                torch.sum(d.view_as(made), 1, out=to_biases[k - 1][part])
            to_weights[0].addmm_(d.t(), inputs[0][part].flatten(0, 1))
            torch.mm(d, weights[0], out=to_features[part].flatten(0, 1))
        return to_features, above.sum((0, 1)), *to_biases, *to_weights


def _blocks(samples: Tensor) -> list[slice]:
    """Some frames after the other, of (F, N, ...)."""
    some = max(1, BLOCK // max(1, samples.shape[1]))
    return [slice(k, k + some) for k in range(0, len(samples), some)]
