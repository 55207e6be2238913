"""The relief's small network: two hidden layers, told the code of a frame as a bias.

Samples of one frame follow each other, so its code enters each layer once and not with every sample; forward and
backward go frame by frame on a CPU, where what lies between two layers then stays in the cache.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor, nn


class Perceptron(nn.Module):
    """(M, F) features of samples and (G, K) codes of the frames they belong to -> (M, out).

    Args:
        features: F.
        code: length of the code that the first layer is told.
        more: length of what the second layer is told on top of it.
        width: of both hidden layers.
        out: numbers per sample; they start at 0.
    """

    def __init__(self, features: int, code: int, more: int, width: int, out: int) -> None:
        super().__init__()
        self.first, self.second, self.last = (
            nn.Linear(features, width),
            nn.Linear(width, width),
            nn.Linear(width, out),
        )
        self.told_first = nn.Linear(code, width, bias=False)
        self.told_second = nn.Linear(code + more, width, bias=False)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def biases(self, code: Tensor, more: Tensor) -> tuple[Tensor, Tensor]:
        """(G, width) biases of both layers for frames with these codes."""
        first = self.told_first(code) + self.first.bias
        return first, self.told_second(torch.cat([code, more], 1)) + self.second.bias

    def forward(self, features: Tensor, counts: list[int], code: Tensor, more: Tensor) -> Tensor:
        """(M, F) features, of which each frame has `counts` in a row -> (M, out)."""
        return self.told(features, counts, *self.biases(code, more))

    def told(
        self, features: Tensor, counts: list[int], first: Tensor, second: Tensor, direct: Tensor | None = None
    ) -> Tensor:
        """The same, given the frames' `biases`; the first features times `direct` (out,) are added if it is given."""
        w = (self.first.weight, self.second.weight, self.last.weight)
        out: Tensor = _Layers.apply(features, counts, first, second, *w, self.last.bias, direct)
        return out


class _Layers(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        counts: list[int],
        first: Tensor,
        second: Tensor,
        w1: Tensor,
        w2: Tensor,
        w3: Tensor,
        b3: Tensor,
        direct: Tensor | None,
    ) -> Tensor:
        out = features.new_empty(len(features), len(b3))
        hidden = features.new_empty(2, len(features), first.shape[1])
        of_first, of_second, of_last = (w.t().contiguous() for w in (w1, w2, w3))
        for g, part in _parts(counts):
            a, b = hidden[0, part], hidden[1, part]
            torch.mm(features[part], of_first, out=a).add_(first[g]).relu_()
            torch.mm(a, of_second, out=b).add_(second[g]).relu_()
            torch.addmm(b3, b, of_last, out=out[part])
        if direct is not None:
            out.addcmul_(features[:, : len(b3)], direct)
        ctx.save_for_backward(features, hidden, first, second, w1, w2, w3)
        ctx.counts, ctx.direct = counts, direct
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        features, hidden, first, second, w1, w2, w3 = ctx.saved_tensors
        given = gradients[0].contiguous()
        to_features = torch.empty_like(features)
        to_first, to_second = torch.zeros_like(first), torch.zeros_like(second)
        to_w1, to_w2, to_w3 = torch.zeros_like(w1), torch.zeros_like(w2), torch.zeros_like(w3)
        threshold_backward = torch.ops.aten.threshold_backward  # ReLU's: no mask is made of numbers of another kind
        for g, part in _parts(ctx.counts):
            a, b, d = hidden[0, part], hidden[1, part], given[part]
            to_w3.addmm_(d.t(), b)
            d = threshold_backward(torch.mm(d, w3), b, 0)
            to_second[g] = d.sum(0)
            to_w2.addmm_(d.t(), a)
            d = threshold_backward(torch.mm(d, w2), a, 0)
            to_first[g] = d.sum(0)
            to_w1.addmm_(d.t(), features[part])
            torch.mm(d, w1, out=to_features[part])
        if ctx.direct is not None:
            to_features[:, : given.shape[1]].addcmul_(given, ctx.direct)
        return to_features, None, to_first, to_second, to_w1, to_w2, to_w3, given.sum(0), None


def _parts(counts: list[int]) -> list[tuple[int, slice]]:
    """(number, rows) of every frame that has any."""
    ends = [0, *accumulate(counts)]
    return [(g, slice(a, b)) for g, (a, b) in enumerate(pairwise(ends)) if b > a]
