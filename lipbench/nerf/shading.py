"""Colors and densities of samples -> what rays show, on the CPU: `HeadField.shade`'s last part, ray by ray.

The same as `compositing.composite` with the hull and the longest step in torch, its derivative written out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from lipbench.faces.raster.kernel import inlined, kernel
from lipbench.nerf.compositing import ALPHA_FLOOR, DENSITY_FLOOR
from lipbench.nerf.grid import OccupancyGrid
from lipbench.nerf.grid_kernels import cell
from lipbench.nerf.rays import Rays

ONE, NONE = np.float32(1), np.float32(0)
FLOOR, KEPT = np.float32(DENSITY_FLOOR), np.float32(ALPHA_FLOOR)
LINEAR = np.float32(20)  # from where on torch's softplus is its argument


def shaded(
    color: Tensor, raw: Tensor, rays: Rays, depth: Tensor, grid: OccupancyGrid, longest: float, scale: float, soft: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """What rays show of a field.

    Args:
        color: (F, R, S, 3) raw.
        raw: (F, R, S) density.
        rays: F frames, R rays each.
        depth: (F, R, S + 1) of the samples and of the end of the ray.
        grid: whose hull holds all density.
        longest: step, as a share of the ray's interval.
        scale: 1/m per unit of density.
        soft: softplus, else ReLU.

    Returns:
        (F, R, 3) foreground, (F, R) transmittance, and (F, R, S) weights, which have no gradient.
    """
    start, slope = grid.in_cells(rays.origin, rays.direction)
    where = start, slope, rays.near, rays.far, rays.length[..., 0], depth, grid.hull
    arrays = tuple(x.detach().contiguous().numpy() for x in where)
    numbers = grid.size, np.float32(longest), np.float32(scale), soft
    found: tuple[Tensor, Tensor, Tensor] = _Shaded.apply(color, raw, arrays, numbers)
    return found


class _Shaded(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, color: Tensor, raw: Tensor, arrays: tuple[np.ndarray, ...], numbers: tuple[Any, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        color, raw = color.contiguous(), raw.contiguous()
        weights, left = torch.empty_like(raw), raw.new_empty(raw.shape[:2])
        foreground = raw.new_empty(*raw.shape[:2], 3)
        shade(*arrays, *numbers, *(x.detach().numpy() for x in (color, raw, weights, foreground, left)))
        ctx.save_for_backward(color, raw)
        ctx.arrays, ctx.numbers = arrays, numbers
        ctx.mark_non_differentiable(weights)
        return foreground, left, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        color, raw = ctx.saved_tensors
        to_color, to_raw = torch.empty_like(color), torch.empty_like(raw)
        above = (x.contiguous() for x in given[:2])
        arrays = (x.numpy() for x in (color, raw, *above, to_color, to_raw))
        shade_backward(*ctx.arrays, *ctx.numbers, *arrays)
        return to_color, to_raw, None, None


@inlined
def opacity(raw, depth, f, i, j, most, length, scale, soft):  # type: ignore[no-untyped-def]
    """Length of sample j's step, its opacity within the hull, and the slope of its density."""
    step = min(depth[f, i, j + 1] - depth[f, i, j], most) * length[f, i]
    x = raw[f, i, j]
    if soft:
        rise = np.float32(math.exp(x - ONE))
        dense = x - ONE if x - ONE > LINEAR else np.float32(math.log1p(rise))
        slope = ONE if x - ONE > LINEAR else rise / (ONE + rise)
    else:
        dense, slope = max(x, NONE), ONE if x > NONE else NONE
    return step, ONE - np.float32(math.exp(-(dense * scale + FLOOR) * step)), slope * scale


@inlined
def sigmoid(x):  # type: ignore[no-untyped-def]
    """Color of a raw one."""
    return ONE / (ONE + np.float32(math.exp(-x)))


@kernel
def shade(start, slope, near, far, length, depth, hull, n, longest, scale, soft, color, raw, weights, shown, left):  # type: ignore[no-untyped-def]
    """Fill `weights` (F, R, S), `shown` (F, R, 3) and `left` (F, R); see `shaded`, and `grid_kernels` for the grid."""
    for f in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            before, red, green, blue = ONE, NONE, NONE, NONE
            most = (far[f, i] - near[f, i]) * longest
            for j in range(raw.shape[2]):
                step, alpha, _ = opacity(raw, depth, f, i, j, most, length, scale, soft)
                if not hull[cell(start, slope, f, i, depth[f, i, j], n)]:
                    alpha = ONE - np.float32(math.exp(-FLOOR * step))
                much = alpha * before
                red += much * sigmoid(color[f, i, j, 0])
                green += much * sigmoid(color[f, i, j, 1])
                blue += much * sigmoid(color[f, i, j, 2])
                weights[f, i, j] = much
                before *= ONE - alpha + KEPT
            shown[f, i, 0], shown[f, i, 1], shown[f, i, 2], left[f, i] = red, green, blue, before


@kernel
def shade_backward(  # type: ignore[no-untyped-def]
    start, slope, near, far, length, depth, hull, n, longest, scale, soft, color, raw, up, up_left, to_color, to_raw
):
    """Backward of `shade`: from `up` (F, R, 3) and `up_left` (F, R) to `to_color` (F, R, S, 3), `to_raw` (F, R, S)."""
    count = raw.shape[2]
    alphas, befores, slopes = np.empty(count, np.float32), np.empty(count, np.float32), np.empty(count, np.float32)
    for f in range(raw.shape[0]):
        for i in range(raw.shape[1]):
            before, most = ONE, (far[f, i] - near[f, i]) * longest
            for j in range(count):
                step, alpha, rise = opacity(raw, depth, f, i, j, most, length, scale, soft)
                if not hull[cell(start, slope, f, i, depth[f, i, j], n)]:
                    alpha, rise = ONE - np.float32(math.exp(-FLOOR * step)), NONE
                alphas[j], befores[j], slopes[j] = alpha, before, rise * step * (ONE - alpha)
                before *= ONE - alpha + KEPT
            behind = up_left[f, i]  # what one unit of transmittance up to here would bring
            for j in range(count - 1, -1, -1):
                much, worth = alphas[j] * befores[j], NONE
                for c in range(3):
                    seen = sigmoid(color[f, i, j, c])
                    worth += up[f, i, c] * seen
                    to_color[f, i, j, c] = up[f, i, c] * much * seen * (ONE - seen)
                to_raw[f, i, j] = befores[j] * (worth - behind) * slopes[j]
                behind = worth * alphas[j] + behind * (ONE - alphas[j] + KEPT)
