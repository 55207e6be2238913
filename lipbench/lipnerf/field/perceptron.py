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

from lipbench.lipnerf.field.pool import give, take

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
    rgb = _color(h, layers, _rows(raw, matter), None) if color else None
    give(h)
    return rgb, raw


def _spread(per_group: Tensor, count: int) -> Tensor:
    """(G, W), a row for each group of samples -> (count, W), a row for each sample."""
    groups, width = per_group.shape
    out = take(count, width, per_group)
    out.view(groups, count // groups, width).copy_(per_group[:, None])
    return out


def _trunk(x: Tensor, layers: Layers, kept: list[Tensor] | None) -> Tensor:
    """(E, N) -> (N, W), the last hidden layer; all of them are appended to `kept`."""
    count, width = x.shape[1], layers.first.shape[1]
    h = _spread(layers.first, count).addmm_(x.t(), layers.first_x.t()).relu_()
    for weight, bias in layers.trunk:
        if kept is not None:
            kept.append(h)
        below = h
        if bias is None:
            h = _spread(layers.again, count).addmm_(below, weight.t()).addmm_(x.t(), layers.again_x.t()).relu_()
        else:
            h = torch.addmm(bias, below, weight.t(), out=take(count, width, x)).relu_()
        if kept is None:
            give(below)
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


def _picked(t: Tensor, rows: Tensor) -> Tensor:
    return torch.index_select(t, 0, rows, out=take(len(rows), t.shape[1], t))


def _color(h: Tensor, layers: Layers, rows: Tensor | None, kept: list[Tensor] | None) -> Tensor:
    """(N, W) -> (N, 3); the view branch's layers, of the rows that matter, are appended to `kept`."""
    count = len(h)
    if rows is None:
        g = _spread(layers.per_ray, count).addmm_(h, layers.view_h.t()).relu_()
    else:
        h = _picked(h, rows)
        g = _picked(layers.per_ray, rows // (count // len(layers.per_ray))).addmm_(h, layers.view_h.t()).relu_()
        give(h)
    for weight, bias in layers.views:
        below = g
        g = torch.addmm(bias, below, weight.t(), out=take(*below.shape, below)).relu_()
        if kept is not None:
            kept.append(below)
        else:
            give(below)
    weight, bias = layers.rgb
    found = torch.addmm(bias, g, weight.t())
    if kept is not None:
        kept.append(g)
    else:
        give(g)
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
        if rows is not None:
            x, d_raw = x.index_select(1, rows), d_raw.index_select(0, rows)
            hidden[-1] = _replaced(hidden[-1], rows)
        d_raw, below = d_raw[:, None], hidden[-1]
        d_alpha = d_raw.t() @ below, d_raw.sum(0)
        d = torch.mm(d_raw, layers.alpha[0], out=take(*below.shape, below))  # (M, W)
        if ctx.color:
            assert d_rgb is not None
            d_rgb = d_rgb if rows is None else d_rgb.index_select(0, rows)
            g, d_out, d_views = _color_backward(d_rgb, layers, seen)
            d_per_ray, d_view_h = _gathered(g, layers.per_ray, rows, count), g.t() @ below
            d.addmm_(g, layers.view_h)
            give(g)
        else:
            d_out = [torch.zeros_like(t) for t in layers.rgb]
            d_views = [torch.zeros_like(t) for pair in layers.views for t in pair]
            d_per_ray, d_view_h = torch.zeros_like(layers.per_ray), torch.zeros_like(layers.view_h)
        d_again, d_again_x = torch.zeros_like(layers.again), torch.zeros_like(layers.again_x)
        d_trunk: list[Tensor] = []
        for k in range(depth, 0, -1):
            d = _through_relu(d, below)
            give(below)
            below = hidden[k - 1] if rows is None else _replaced(hidden[k - 1], rows)
            d_weight = d.t() @ below
            if ctx.biased[k - 1]:
                d_trunk[:0] = [d_weight, d.sum(0)]
            else:
                d_again, d_again_x = _gathered(d, layers.again, rows, count), (x @ d).t()
                d_trunk[:0] = [d_weight]
            above = d
            d = torch.mm(above, layers.trunk[k - 1][0], out=take(*below.shape, below))
            give(above)
        d = _through_relu(d, below)
        d_first, d_first_x = _gathered(d, layers.first, rows, count), (x @ d).t()
        give(d, below)
        flat = d_first, d_again, d_per_ray, d_first_x, d_again_x, *d_alpha, *d_out, d_view_h, *d_trunk, *d_views
        return None, None, None, None, *flat


def _color_backward(d_rgb: Tensor, layers: Layers, seen: list[Tensor]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Gradients of (M, 3) colours: (M, V) before the first ReLU of the view branch; of the last layer; of the others."""
    d_out = [d_rgb.t() @ seen[-1], d_rgb.sum(0)]
    d_views: list[Tensor] = []
    g = torch.mm(d_rgb, layers.rgb[0], out=take(*seen[-1].shape, d_rgb))
    for k in range(len(layers.views) - 1, -1, -1):
        above = _through_relu(g, seen[k + 1])
        d_views[:0] = [above.t() @ seen[k], above.sum(0)]
        g = torch.mm(above, layers.views[k][0], out=take(*seen[k].shape, above))
        give(above, seen[k + 1])
    g = _through_relu(g, seen[0])
    give(seen[0])
    return g, d_out, d_views


def _replaced(t: Tensor, rows: Tensor) -> Tensor:
    """Some rows of a matrix that is not needed any more."""
    some = _picked(t, rows)
    give(t)
    return some


def _through_relu(d: Tensor, h: Tensor) -> Tensor:
    """Gradient before a ReLU whose output was h, in place."""
    return torch.ops.aten.threshold_backward.grad_input(d, h, 0, grad_input=d)


def _gathered(d: Tensor, like: Tensor, rows: Tensor | None, count: int) -> Tensor:
    """Rows (M, W) of d summed over each of the groups that `like` (G, W) holds."""
    groups, width = like.shape
    if groups == 1:
        return d.sum(0, keepdim=True)
    if rows is None:
        return d.view(groups, count // groups, width).sum(1)
    return torch.zeros_like(like).index_add_(0, rows // (count // groups), d)
