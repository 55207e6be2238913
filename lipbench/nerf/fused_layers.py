"""What `FusedMLPField` does per sample, with its derivative written out, and without the inactive samples.

Three things make it cheaper than the same layers under autograd, none of which changes the result:

- A sample whose weight on its ray is 0 (no density, or hidden behind something opaque) has no color to compute and no
  gradient to send back. With ReLU density that is a large share of all samples: the trunk has to see them, the view
  branch and the whole backward pass have not.
- Points need no gradient: the first layer, and the encoding's share of the skip layer, have only weight gradients.
- Biases and ReLUs work in place; there is no graph of small tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lipbench.nerf.compositing import SampleMask
from lipbench.nerf.pool import give, take

DENSE = 0.9  # share of the samples from which on picking rows costs more than it saves
BLOCK = 1024  # samples that go through all layers together: half a megabyte a layer stays in a core's cache


class FusedLayers(NamedTuple):
    """Weights (O, I) and biases (O,); W the trunk's width, V the view branch's, E the encoding's length.

    Attributes:
        input_bias: (F, W), what the frame's condition and the bias add to the first layer.
        skip_bias: (F, W), the same of the layer after the skip.
        per_ray: (F R, V), the same of the direction in the view branch.
        w_xyz: (W, E).
        w_skip_xyz: (W, E).
        trunk: weight and bias of the layers after the first; the one without a bias is the one after the skip.
    """

    input_bias: Tensor
    skip_bias: Tensor
    per_ray: Tensor
    w_xyz: Tensor
    w_skip_xyz: Tensor
    alpha: tuple[Tensor, Tensor]
    rgb: tuple[Tensor, Tensor]
    view_h: Tensor
    trunk: Sequence[tuple[Tensor, Tensor | None]]
    views: Sequence[tuple[Tensor, Tensor]]

    def flat(self) -> list[Tensor]:
        """The tensors in a fixed order, for autograd."""
        pairs = [t for weight, bias in self.trunk for t in (weight, bias) if t is not None]
        return [*self[:5], *self.alpha, *self.rgb, self.view_h, *pairs, *(t for pair in self.views for t in pair)]

    def to(self, dtype: torch.dtype) -> FusedLayers:
        """The same in another precision."""
        return FusedLayers.of([t.to(dtype) for t in self.flat()], self.biased)

    @property
    def biased(self) -> list[bool]:
        """Which layers of the trunk have their bias with them."""
        return [bias is not None for _, bias in self.trunk]

    @classmethod
    def of(cls, flat: Sequence[Tensor], biased: Sequence[bool]) -> FusedLayers:
        """What `flat` took apart; the second argument is the property `biased`."""
        rest = iter(flat[10:])
        trunk = [(next(rest), next(rest) if has else None) for has in biased]
        views = [(weight, next(rest)) for weight in rest]
        input_bias, skip_bias, per_ray, w_xyz, w_skip_xyz = flat[:5]
        alpha, rgb = (flat[5], flat[6]), (flat[7], flat[8])
        return cls(input_bias, skip_bias, per_ray, w_xyz, w_skip_xyz, alpha, rgb, flat[9], trunk, views)


def fused_mlp(x: Tensor, layers: FusedLayers, color: bool, active: SampleMask | None) -> tuple[Tensor | None, Tensor]:
    """Encoded points -> raw color and raw density.

    Args:
        x: (E, N), frame after frame, ray after ray; gets no gradient.
        color: False leaves the view branch out.
        active: tells from the raw density which samples are worth a color and a gradient; None for all. What it
            leaves out must have weight 0 on its ray.

    Returns:
        (N, 3) raw color, 0 for inactive samples, or None; (N,) raw density.
    """
    if torch.is_grad_enabled():
        out = _Perceptron.apply(x, layers.biased, color, active, *layers.flat())
        return (out[0] if color else None), out[1]
    h, raw = _trunk(x, layers, None)
    rgb = _color(h, layers, _rows(raw, active), None) if color else None
    give(h)
    return rgb, raw


def _blocks(count: int, like: Tensor) -> list[slice]:
    """Stretches of samples of about the same length; all at once on a GPU."""
    parts = max(1, round(count / BLOCK)) if like.device.type == "cpu" else 1
    size = max(1, -(-count // parts))
    return [slice(k, min(k + size, count)) for k in range(0, count, size)]


def _groups(at: slice, rows: Tensor | None, each: int, like: Tensor) -> Tensor:
    """Numbers of the frames or rays, of `each` samples, that a block of the picked rows belongs to."""
    index = torch.arange(at.start, at.stop, device=like.device) if rows is None else rows[at]
    return index // each


def _affine(
    per_group: Tensor, at: slice, rows: Tensor | None, count: int, h: Tensor, weight: Tensor, out: Tensor
) -> Tensor:
    """What a block's frame or ray adds (G, O), plus h (B, I) times weight (O, I); into out (B, O)."""
    groups = len(per_group)
    if groups == 1:
        return torch.addmm(per_group[0], h, weight.t(), out=out)
    return torch.index_select(per_group, 0, _groups(at, rows, count // groups, h), out=out).addmm_(h, weight.t())


def _trunk(x: Tensor, layers: FusedLayers, kept: list[Tensor] | None) -> tuple[Tensor, Tensor]:
    """(E, N) -> (N, W), the last hidden layer, and (N,) raw density; all hidden layers are appended to `kept`."""
    count, width = x.shape[1], layers.input_bias.shape[1]
    blocks = _blocks(count, x)
    last = take(count, width, x)
    if kept is not None:
        hidden = [*(take(count, width, x) for _ in layers.trunk), last]
        kept += hidden
    else:
        spare = [take(blocks[0].stop, width, x) for _ in range(2)]
    raw = x.new_empty(count, 1)
    for at in blocks:
        if kept is None:
            size = at.stop - at.start
            hidden = [*(spare[k % 2][:size] for k in range(len(layers.trunk))), last[at]]
            outs = hidden
        else:
            outs = [t[at] for t in hidden]
        part = x[:, at].t()
        h = _affine(layers.input_bias, at, None, count, part, layers.w_xyz, outs[0]).relu_()
        for (weight, bias), out in zip(layers.trunk, outs[1:], strict=True):
            if bias is None:
                h = (
                    _affine(layers.skip_bias, at, None, count, h, weight, out)
                    .addmm_(part, layers.w_skip_xyz.t())
                    .relu_()
                )
            else:
                h = torch.addmm(bias, h, weight.t(), out=out).relu_()
        torch.addmm(layers.alpha[1], h, layers.alpha[0].t(), out=raw[at])
    if kept is None:
        give(*spare)
    return last, raw.view(-1)


def _rows(raw: Tensor, active: SampleMask | None) -> Tensor | None:
    """Numbers of the active samples, None for all."""
    # Picking rows makes a GPU wait for the count.
    if active is None or raw.device.type != "cpu":
        return None
    rows = torch.nonzero(active(raw))[:, 0]
    return rows if len(rows) < DENSE * len(raw) else None


def _part(t: Tensor, at: slice, rows: Tensor | None, out: Tensor) -> Tensor:
    """A block of the picked rows."""
    return t[at] if rows is None else torch.index_select(t, 0, rows[at], out=out[: at.stop - at.start])


def _color(h: Tensor, layers: FusedLayers, rows: Tensor | None, kept: list[Tensor] | None) -> Tensor:
    """(N, W) -> (N, 3); the view branch's layers, of the active rows, are appended to `kept`."""
    count, half = len(h), layers.per_ray.shape[1]
    some = count if rows is None else len(rows)
    seen = [take(some, half, h) for _ in range(len(layers.views) + 1)]
    spare = take(min(some, 2 * BLOCK), h.shape[1], h)
    found = h.new_empty(some, 3)
    for at in _blocks(some, h):
        below = _part(h, at, rows, spare)
        g = _affine(layers.per_ray, at, rows, count, below, layers.view_h, seen[0][at]).relu_()
        for (weight, bias), t in zip(layers.views, seen[1:], strict=True):
            g = torch.addmm(bias, g, weight.t(), out=t[at]).relu_()
        torch.addmm(layers.rgb[1], g, layers.rgb[0].t(), out=found[at])
    give(spare)
    if kept is not None:
        kept += seen
    else:
        give(*seen)
    return found if rows is None else found.new_zeros(count, 3).index_copy_(0, rows, found)


class _Perceptron(torch.autograd.Function):
    """The same with gradients for every layer."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, biased: list[bool], color: bool, active: SampleMask | None, *flat: Tensor) -> Any:
        layers = FusedLayers.of(flat, biased)
        kept: list[Tensor] = []
        h, raw = _trunk(x, layers, kept)
        rows, rgb = None, None
        if color:
            rows = _rows(raw, active)
            rgb = _color(h, layers, rows, kept)
        ctx.biased, ctx.color, ctx.picked, ctx.count = biased, color, rows is not None, len(flat)
        ctx.save_for_backward(x, *flat, *kept, *([] if rows is None else [rows]))
        return rgb, raw

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_rgb: Tensor | None, d_raw: Tensor) -> Any:
        x, *saved = ctx.saved_tensors
        flat = saved[: ctx.count]
        rows = saved.pop() if ctx.picked else None
        kept = saved[ctx.count :]
        depth, some = len(ctx.biased), x.shape[1] if rows is None else len(rows)
        grads = [torch.zeros_like(t) for t in flat]
        back = _Backward(
            FusedLayers.of(flat, ctx.biased), FusedLayers.of(grads, ctx.biased), x, rows, kept[: depth + 1]
        )
        d_rgb = d_rgb if ctx.color else None
        if rows is not None:
            d_raw, d_rgb = d_raw[rows], None if d_rgb is None else d_rgb[rows]
        blocks = _blocks(some, x)
        width, half = kept[0].shape[1], back.layers.per_ray.shape[1]
        spare = [take(blocks[0].stop if blocks else 0, n, x) for n in (width, width, width, width, half, half)]
        for at in blocks:
            back.block(at, d_raw, d_rgb, [t[at] for t in kept[depth + 1 :]], [t[: at.stop - at.start] for t in spare])
        give(*spare, *kept)
        return None, None, None, None, *grads


class _Backward(NamedTuple):
    """The chain rule for the active rows."""

    layers: FusedLayers
    grads: FusedLayers  # summed up
    x: Tensor
    rows: Tensor | None
    hidden: list[Tensor]  # (N, W) of the trunk

    def block(self, at: slice, d_raw: Tensor, d_rgb: Tensor | None, seen: list[Tensor], spare: list[Tensor]) -> None:
        """One block.

        Args:
            d_raw: (M,).
            d_rgb: (M, 3) or None.
            seen: (B, V) of the view branch.
            spare: room for (B, W) four times, (B, V) twice.
        """
        layers, grads, rows = self.layers, self.grads, self.rows
        d, other, *room = spare[:4]
        up = d_raw[at, None]
        below = _part(self.hidden[-1], at, rows, room[0])
        torch.mm(up, layers.alpha[0], out=d)
        _add(grads.alpha, up, below)
        if d_rgb is not None:
            g, spare_g = spare[4:]
            up = d_rgb[at]
            _add(grads.rgb, up, seen[-1])
            torch.mm(up, layers.rgb[0], out=g)
            for k in range(len(layers.views) - 1, -1, -1):
                _through_relu(g, seen[k + 1])
                _add(grads.views[k], g, seen[k])
                g, spare_g = torch.mm(g, layers.views[k][0], out=spare_g), g
            _through_relu(g, seen[0])
            self._gather(grads.per_ray, g, at)
            grads.view_h.addmm_(g.t(), below)
            d.addmm_(g, layers.view_h)
        x = (self.x[:, at] if rows is None else self.x.index_select(1, rows[at])).t()
        for k in range(len(layers.trunk) - 1, -1, -1):
            _through_relu(d, below)
            below = _part(self.hidden[k], at, rows, room[1])
            room.reverse()
            _add(grads.trunk[k], d, below)
            if grads.trunk[k][1] is None:
                self._gather(grads.skip_bias, d, at)
                grads.w_skip_xyz.addmm_(d.t(), x)
            d, other = torch.mm(d, layers.trunk[k][0], out=other), d
        _through_relu(d, below)
        self._gather(grads.input_bias, d, at)
        grads.w_xyz.addmm_(d.t(), x)

    def _gather(self, total: Tensor, d: Tensor, at: slice) -> None:
        """Sum a block's rows (B, O) over the frames or rays (G, O) they belong to."""
        if len(total) == 1:
            total += d.sum(0)
        else:
            total.index_add_(0, _groups(at, self.rows, self.x.shape[1] // len(total), d), d)


def _add(grads: tuple[Tensor, Tensor | None], d: Tensor, below: Tensor) -> None:
    """Add a block's share to the gradients of weight and bias."""
    weight, bias = grads
    weight.addmm_(d.t(), below)
    if bias is not None:
        bias += d.sum(0)


def _through_relu(d: Tensor, h: Tensor) -> Tensor:
    """Gradient before a ReLU whose output was h, in place."""
    return torch.ops.aten.threshold_backward.grad_input(d, h, 0, grad_input=d)
