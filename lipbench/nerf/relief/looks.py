"""Looks of a part of the head that frames mix: of each eye by a frame's code, of lips and chin by its expression.

They lie in a grid over a box and end softly at its edges. On a CPU loops in numba add them and take their gradients,
elsewhere the same is done in torch (`added`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipbench.faces.raster.kernel import inlined, kernel
from lipbench.nerf.relief import ops
from lipbench.nerf.relief.grid import FeatureGrid, uses_kernels
from lipbench.nerf.relief.kernels import NONE, ONE, cell, layer
from lipbench.nerf.relief.surface import EDGE, Box

NEARLY = 1e-3  # of the relief, what is rounded in its coordinates and more
STEEPNESS = np.float32(EDGE)


def add_looks(
    logits: Tensor, mixes: Tensor, grid: FeatureGrid, boxes: Sequence[Box], flat: bool, points: Tensor, starts: Tensor
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
    logits: Tensor, mixes: Tensor, grid: FeatureGrid, boxes: Sequence[Box], flat: bool, points: Tensor, starts: Tensor
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


def _level_with(points: Tensor, boxes: Sequence[Box]) -> Tensor:
    """Rows of points (M, 3) that lie, or nearly, between the highest and the lowest edge of boxes: a dub's mouth has
    none about its eyes."""
    v = points[:, 1]
    high, low = min(top for _, top, _, _ in boxes), max(top + height for _, top, _, height in boxes)
    return torch.nonzero((v > high - NEARLY) & (v < low + NEARLY))[:, 0]


def _inside(points: Tensor, box: Box, near: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Those of some rows `near` of points (M, 3) in a box, u and v in it, and a factor that ends at its edge."""
    left, top, width, height = box
    u, v = (points[near, 0] - left) / width, (points[near, 1] - top) / height
    inside = (u > 0) & (u < 1) & (v > 0) & (v < 1)
    rows, u, v = near[inside], u[inside], v[inside]
    edge = (EDGE * torch.minimum(torch.minimum(u, 1 - u), torch.minimum(v, 1 - v))).clamp_max(1.0)
    return rows, u, v, edge


class _Looks(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        logits: Tensor,
        mixes: Tensor,
        grid: FeatureGrid,
        boxes: Sequence[Box],
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


@inlined
def within(x, y, box):  # type: ignore[no-untyped-def]
    """u and v of a place in a box, and the share that looks have there: 0 outside."""
    u, v = (x - box[0]) / box[2], (y - box[1]) / box[3]
    return u, v, min(STEEPNESS * min(min(u, ONE - u), min(v, ONE - v)), ONE)


@kernel
def add(grid, box, part, parts, flat, points, starts, mixes, out):  # type: ignore[no-untyped-def]
    """Add what frames mix of the looks in one box, the `part`-th of `parts`, to (M, 4); see `add_looks`."""
    layers, n, m, channels = grid.shape
    count = np.uint64(mixes.shape[1])
    numbers = np.uint64(channels) // count
    for g in range(mixes.shape[0]):
        for i in range(np.uint64(starts[g]), np.uint64(starts[g + 1])):
            x, y, edge = within(points[i, 0], points[i, 1], box)
            if not edge > NONE:
                continue
            iu, au = cell(x, m)
            iv, av = cell((y + part) / parts, n)
            il, al = layer(NONE if flat else points[i, 2], layers)
            for corner in range(8):
                dl, dv, du = corner >> 2, (corner >> 1) & 1, corner & 1
                share = edge * (al if dl else ONE - al) * (av if dv else ONE - av) * (au if du else ONE - au)
                if share == NONE:
                    continue
                k, v, u = il + np.uint64(dl), iv + np.uint64(dv), iu + np.uint64(du)
                for j in range(count):
                    some = share * mixes[g, j]
                    for c in range(numbers):
                        out[i, c] += some * grid[k, v, u, j * numbers + c]


@kernel
def add_backward(grid, box, part, parts, flat, points, starts, mixes, given, gradient, touched, to_mixes):  # type: ignore[no-untyped-def]
    """Backward of `add`: adds to `gradient` (L, n, m, K * C) and `to_mixes` (G, K), marks texels in `touched`."""
    layers, n, m, channels = grid.shape
    count = np.uint64(mixes.shape[1])
    numbers = np.uint64(channels) // count
    for g in range(mixes.shape[0]):
        for i in range(np.uint64(starts[g]), np.uint64(starts[g + 1])):
            x, y, edge = within(points[i, 0], points[i, 1], box)
            if not edge > NONE:
                continue
            iu, au = cell(x, m)
            iv, av = cell((y + part) / parts, n)
            il, al = layer(NONE if flat else points[i, 2], layers)
            for corner in range(8):
                dl, dv, du = corner >> 2, (corner >> 1) & 1, corner & 1
                share = edge * (al if dl else ONE - al) * (av if dv else ONE - av) * (au if du else ONE - au)
                if share == NONE:
                    continue
                k, v, u = il + np.uint64(dl), iv + np.uint64(dv), iu + np.uint64(du)
                for j in range(count):
                    some, seen = share * mixes[g, j], NONE
                    for c in range(numbers):
                        gradient[k, v, u, j * numbers + c] += some * given[i, c]
                        seen += given[i, c] * grid[k, v, u, j * numbers + c]
                    to_mixes[g, j] += share * seen
                touched[k, v, u] = 1
