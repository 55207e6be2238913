"""The arithmetic of the paper's MLP with its derivative written out, and without the samples that cannot matter.

Three things make it cheaper than the same layers under autograd, none of which changes the result:

- A sample whose weight on its ray is 0 (no density, or hidden behind something opaque) has no colour to compute and no
  gradient to send back. With ReLU density that is a large share of all samples: the trunk has to see them, the view
  branch and the whole backward pass have not.
- Points need no gradient: the first layer, and the encoding's share of the skip layer, have only weight gradients.
- Biases and ReLUs work in place; there is no graph of small tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

DENSE = 0.9  # share of the samples from which on picking rows costs more than it saves

#: (N,) raw density -> (N,) bool, the samples that matter.
Matter = Callable[[Tensor], Tensor]


class Layers(NamedTuple):
    """Weights (O, I) and biases (O,); W the trunk's width, V the view branch's, E the encoding's length.

    first, again: (F, W), what the frame's condition and the bias add to the first layer and to the one after the skip.
    per_ray: (F R, V), the same of the direction in the view branch. first_x, again_x: (W, E). trunk: weight and bias
    of the layers after the first; the one without a bias is the one after the skip.
    """

    first: Tensor
    again: Tensor
    per_ray: Tensor
    first_x: Tensor
    again_x: Tensor
    alpha: tuple[Tensor, Tensor]
    rgb: tuple[Tensor, Tensor]
    view_h: Tensor
    trunk: Sequence[tuple[Tensor, Tensor | None]]
    views: Sequence[tuple[Tensor, Tensor]]

    def flat(self) -> list[Tensor]:
        """The tensors in a fixed order, for autograd."""
        pairs = [t for weight, bias in self.trunk for t in (weight, bias) if t is not None]
        return [
            *self[:5], *self.alpha, *self.rgb, self.view_h, *pairs, *(t for pair in self.views for t in pair),
        ]  # fmt: skip

    def to(self, dtype: torch.dtype) -> Layers:
        """The same in another precision."""
        return Layers.of([t.to(dtype) for t in self.flat()], self.biased)

    @property
    def biased(self) -> list[bool]:
        """Which layers of the trunk have their bias with them."""
        return [bias is not None for _, bias in self.trunk]

    @classmethod
    def of(cls, flat: Sequence[Tensor], biased: Sequence[bool]) -> Layers:
        """What `flat` took apart; biased: as the property."""
        rest = iter(flat[10:])
        trunk = [(next(rest), next(rest) if has else None) for has in biased]
        views = [(weight, next(rest)) for weight in rest]
        return cls(*flat[:5], (flat[5], flat[6]), (flat[7], flat[8]), flat[9], trunk, views)


def perceptron(x: Tensor, layers: Layers, color: bool, matter: Matter | None) -> tuple[Tensor | None, Tensor]:
    """Encoded points -> raw colour and raw density.

    Args:
        x: (E, N), frame after frame, ray after ray; gets no gradient.
        color: False leaves the view branch out.
        matter: tells from the raw density which samples are worth a colour and a gradient; None for all. What it
            leaves out must have weight 0 on its ray.

    Returns:
        (N, 3) raw colour, 0 for samples that do not matter, or None; (N,) raw density.
    """
    if torch.is_grad_enabled():
        out = _Perceptron.apply(x, layers.biased, color, matter, *layers.flat())
        return (out[0] if color else None), out[1]
    h = _trunk(x, layers, None)
    raw = _density(h, layers)
    if not color:
        return None, raw
    return _color(h, layers, _rows(raw, matter), None), raw


def _spread(per_group: Tensor, count: int) -> Tensor:
    """(G, W), a row for each group of samples -> (count, W), a row for each sample."""
    groups, width = per_group.shape
    each = per_group[:, None].expand(groups, count // groups, width)
    return each.clone(memory_format=torch.contiguous_format).view(count, width)


def _trunk(x: Tensor, layers: Layers, kept: list[Tensor] | None) -> Tensor:
    """(E, N) -> (N, W), the last hidden layer; all of them are appended to `kept`."""
    count = x.shape[1]
    h = _spread(layers.first, count).addmm_(x.t(), layers.first_x.t()).relu_()
    for weight, bias in layers.trunk:
        if kept is not None:
            kept.append(h)
        if bias is None:
            h = _spread(layers.again, count).addmm_(h, weight.t()).addmm_(x.t(), layers.again_x.t()).relu_()
        else:
            h = torch.addmm(bias, h, weight.t()).relu_()
    if kept is not None:
        kept.append(h)
    return h


def _density(h: Tensor, layers: Layers) -> Tensor:
    weight, bias = layers.alpha
    return torch.addmm(bias, h, weight.t()).view(-1)


def _rows(raw: Tensor, matter: Matter | None) -> Tensor | None:
    """Numbers of the samples that matter, None for all."""
    # Picking rows makes a GPU wait for the count.
    if matter is None or raw.device.type != "cpu":
        return None
    rows = torch.nonzero(matter(raw))[:, 0]
    return rows if len(rows) < DENSE * len(raw) else None


def _color(h: Tensor, layers: Layers, rows: Tensor | None, kept: list[Tensor] | None) -> Tensor:
    """(N, W) -> (N, 3); the view branch's layers, of the rows that matter, are appended to `kept`."""
    count = len(h)
    if rows is None:
        g = _spread(layers.per_ray, count)
    else:
        h = h.index_select(0, rows)
        g = layers.per_ray.index_select(0, rows // (count // len(layers.per_ray)))
    g = g.addmm_(h, layers.view_h.t()).relu_()
    for weight, bias in layers.views:
        if kept is not None:
            kept.append(g)
        g = torch.addmm(bias, g, weight.t()).relu_()
    if kept is not None:
        kept.append(g)
    weight, bias = layers.rgb
    found = torch.addmm(bias, g, weight.t())
    return found if rows is None else found.new_zeros(count, 3).index_copy_(0, rows, found)


class _Perceptron(torch.autograd.Function):
    """The same with gradients for every layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, biased: list[bool], color: bool, matter: Matter | None, *flat: Tensor) -> Any:
        layers = Layers.of(flat, biased)
        kept: list[Tensor] = []
        h = _trunk(x, layers, kept)
        raw = _density(h, layers)
        rows, rgb = None, None
        if color:
            rows = _rows(raw, matter)
            rgb = _color(h, layers, rows, kept)
        ctx.biased, ctx.color, ctx.picked, ctx.count = biased, color, rows is not None, len(flat)
        ctx.save_for_backward(x, *flat, *kept, *([] if rows is None else [rows]))
        return rgb, raw

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_rgb: Tensor | None, d_raw: Tensor) -> Any:
        x, *saved = ctx.saved_tensors
        layers = Layers.of(saved[: ctx.count], ctx.biased)
        rows = saved.pop() if ctx.picked else None
        kept = saved[ctx.count :]
        depth, count = len(ctx.biased), x.shape[1]
        hidden, seen = kept[: depth + 1], kept[depth + 1 :]

        def picked(t: Tensor) -> Tensor:
            return t if rows is None else t.index_select(0, rows)

        d_raw = picked(d_raw)[:, None]
        below = picked(hidden[-1])
        d_alpha = d_raw.t() @ below, d_raw.sum(0)
        d = d_raw @ layers.alpha[0]  # (M, W)
        d_views: list[tuple[Tensor, Tensor]] = []
        if ctx.color:
            assert d_rgb is not None
            d_rgb = picked(d_rgb)
            d_out = d_rgb.t() @ seen[-1], d_rgb.sum(0)
            g = d_rgb @ layers.rgb[0]
            for k in range(len(layers.views) - 1, -1, -1):
                g = _through_relu(g, seen[k + 1])
                d_views.insert(0, (g.t() @ seen[k], g.sum(0)))
                g = g @ layers.views[k][0]
            g = _through_relu(g, seen[0])
            d_per_ray = _gathered(g, layers.per_ray, rows, count)
            d_view_h = g.t() @ below
            d.addmm_(g, layers.view_h)
        else:
            d_out = torch.zeros_like(layers.rgb[0]), torch.zeros_like(layers.rgb[1])
            d_views = [(torch.zeros_like(w), torch.zeros_like(b)) for w, b in layers.views]
            d_per_ray, d_view_h = torch.zeros_like(layers.per_ray), torch.zeros_like(layers.view_h)
        x = x if rows is None else x.index_select(1, rows)
        d_trunk: list[Tensor] = []
        d_again, d_again_x = torch.zeros_like(layers.again), torch.zeros_like(layers.again_x)
        for k in range(depth, 0, -1):
            d = _through_relu(d, below)
            below = picked(hidden[k - 1])
            d_weight = d.t() @ below
            if not ctx.biased[k - 1]:
                d_again = _gathered(d, layers.again, rows, count)
                d_again_x = (x @ d).t()
                d_trunk.insert(0, d_weight)
            else:
                d_trunk[:0] = [d_weight, d.sum(0)]
            d = d @ layers.trunk[k - 1][0]
        d = _through_relu(d, below)
        d_first = _gathered(d, layers.first, rows, count)
        flat = [
            d_first, d_again, d_per_ray, (x @ d).t(), d_again_x, *d_alpha, *d_out, d_view_h, *d_trunk,
            *(t for pair in d_views for t in pair),
        ]  # fmt: skip
        return None, None, None, None, *flat


def _through_relu(d: Tensor, h: Tensor) -> Tensor:
    """Gradient before a ReLU whose output was h, in place."""
    return torch.ops.aten.threshold_backward.grad_input(d, h, 0, grad_input=d)


def _gathered(d: Tensor, like: Tensor, rows: Tensor | None, count: int) -> Tensor:
    """Rows (M, W) of d summed over each of the groups that `like` (G, W) holds."""
    groups, width = like.shape
    if rows is None:
        return d.view(groups, count // groups, width).sum(1)
    if groups == 1:
        return d.sum(0, keepdim=True)
    return torch.zeros_like(like).index_add_(0, rows // (count // groups), d)
