"""Looks of a part of the head that frames mix: of each eye by a frame's code, of lips and chin by its expression.

They lie in a grid over a box and end softly at its edges. On a CPU loops in numba (`mix_kernels`) add them and take
their gradients, elsewhere the same is done in torch (`added`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipbench.nerf.relief import ops
from lipbench.nerf.relief.grid import FeatureGrid, uses_kernels
from lipbench.nerf.relief.kernels import EDGE
from lipbench.nerf.relief.mix_kernels import add, add_backward

NEARLY = 1e-3  # of the relief, what is rounded in its coordinates and more


def add_looks(
    logits: Tensor,
    mixes: Tensor,
    grid: FeatureGrid,
    boxes: Sequence[Sequence[float]],
    flat: bool,
    points: Tensor,
    starts: Tensor,
) -> Tensor:
    """Logits (M, 4) of samples with what their frames mix of some looks; gradients of these gather in the grid.

    Args:
        logits: of color and density; looks of three numbers add to the color alone.
        mixes: (G, K), how much of each look every frame has.
        grid: (L, n, m, K * C) the looks. Boxes share its rows, one above the other.
        boxes: left, top, width, height, as shares of the relief's place.
        flat: whether a look is the same in all depths: it is the grid's first layer.
        points: (M, 3), one frame's after the other's.
        starts: (G + 1,) number of each frame's first point.
    """
    if not uses_kernels(points):
        return added(logits, mixes, grid, boxes, flat, points, starts)
    found: Tensor = _Looks.apply(logits, mixes.contiguous(), grid, boxes, flat, points, starts)
    return found


def added(
    logits: Tensor,
    mixes: Tensor,
    grid: FeatureGrid,
    boxes: Sequence[Sequence[float]],
    flat: bool,
    points: Tensor,
    starts: Tensor,
) -> Tensor:
    """`add_looks` in torch's operations, for devices other than the CPU."""
    near, count = _level_with(points, boxes), mixes.shape[1]
    for k, box in enumerate(boxes if len(near) else ()):
        rows, u, v, edge = _inside(points, box, near)
        if not len(rows):
            continue
        depth = torch.zeros_like(u) if flat else points[rows, 2]
        looks = ops.lookup((grid,), torch.stack([u, (v + k) / len(boxes), depth], 1))
        mixed = mixes[torch.searchsorted(starts[1:], rows, right=True)]
        seen = torch.einsum("mkc,mk->mc", looks.view(len(rows), count, -1), mixed) * edge[:, None]
        logits = logits.index_add(0, rows, torch.nn.functional.pad(seen, (0, 4 - seen.shape[1])))
    return logits


def _level_with(points: Tensor, boxes: Sequence[Sequence[float]]) -> Tensor:
    """Rows of points (M, 3) that lie, or nearly, between the highest and the lowest edge of boxes: a dub's mouth has
    none about its eyes."""
    v = points[:, 1]
    high, low = min(top for _, top, _, _ in boxes), max(top + height for _, top, _, height in boxes)
    return torch.nonzero((v > high - NEARLY) & (v < low + NEARLY))[:, 0]


def _inside(points: Tensor, box: Sequence[float], near: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Those of some rows `near` of points (M, 3) in a box, u and v in it, and a factor that ends at its edge."""
    left, top, width, height = box
    u, v = (points[near, 0] - left) / width, (points[near, 1] - top) / height
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    rows, u, v = near[inside], u[inside], v[inside]
    edge = (float(EDGE) * torch.minimum(torch.minimum(u, 1 - u), torch.minimum(v, 1 - v))).clamp_max(1.0)
    return rows, u, v, edge


class _Looks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        mixes: Tensor,
        grid: FeatureGrid,
        boxes: Sequence[Sequence[float]],
        flat: bool,
        points: Tensor,
        starts: Tensor,
    ) -> Tensor:
        ctx.held = mixes, grid, boxes, flat, points, starts
        out = logits.detach().clone()
        for k, box in enumerate(boxes):
            where = np.array(box, np.float32), k, len(boxes), flat
            add(grid.values.numpy(), *where, *(x.numpy() for x in (points, starts, mixes.detach(), out)))
        return out

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        mixes, grid, boxes, flat, points, starts = ctx.held
        rows, to_mixes = given[0].contiguous(), torch.zeros_like(mixes)
        assert grid.gradient is not None
        assert grid.touched is not None
        arrays = points, starts, mixes.detach(), rows, grid.gradient, grid.touched, to_mixes
        for k, box in enumerate(boxes):
            where = np.array(box, np.float32), k, len(boxes), flat
            add_backward(grid.values.numpy(), *where, *(x.numpy() for x in arrays))
        return rows, to_mixes, None, None, None, None, None
