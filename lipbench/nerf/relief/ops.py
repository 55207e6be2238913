"""What the relief field computes, with gradients, on any device: by `kernels` on the CPU, by `dense` elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from lipbench.nerf.relief import dense, kernels, mix_kernels, straight
from lipbench.nerf.relief.dense import Views
from lipbench.nerf.relief.grid import FeatureGrid, uses_kernels


class Samples(NamedTuple):
    """Samples of rays, one ray's after the other's.

    Attributes:
        points: (M, 3) float32 (u, v, s) in [0, 1].
        lengths: (M,) float32 steps as shares of the relief's thickness.
        starts: (R + 1,) int64, the number of each ray's first sample.
    """

    points: Tensor
    lengths: Tensor
    starts: Tensor


class Pruning(NamedTuple):
    """What rays leave out.

    Attributes:
        density: (L, n, m) raw density of the fine grid alone.
        threshold: raw density under which there is nothing.
        opaque: optical depth behind which nothing is seen.
    """

    density: Tensor
    threshold: float
    opaque: float


def march(
    views: Views,
    frames: Tensor,
    columns: Tensor,
    rows: Tensor,
    jitter: Tensor,
    keep: Tensor,
    surfaces: Tensor,
    place: Tensor,
    pruning: Pruning,
    opacity: float,
    samples: int,
) -> Samples:
    """Samples of the rays through (R,) image positions of (R,) frames; see `kernels.march`."""
    if not uses_kernels(frames):
        candidates = straight.candidates if views.front else dense.candidates
        points, lengths = candidates(views, frames, columns, rows, jitter, surfaces, place, samples)
        some = dense.kept(points, lengths, pruning.density, opacity, pruning.threshold, pruning.opaque, keep)
        starts = torch.cat([torch.zeros_like(frames[:1]), some.sum(1).cumsum(0)])
        return Samples(points[some], lengths[some], starts)
    count = len(frames)
    points, lengths = torch.empty(count * samples, 3), torch.empty(count * samples)
    starts = torch.empty(count + 1, dtype=torch.int64)
    kernel, front = (straight.march, (float(views.front),)) if views.front else (kernels.march, ())
    found = kernel(
        *(x.numpy() for x in (frames, columns, rows)),
        float(views.focal),
        float(views.center[0]),
        float(views.center[1]),
        *(x.numpy() for x in views[2:7]),
        *front,
        *(x.numpy() for x in (jitter, keep, surfaces[0], surfaces[1], place, pruning.density)),
        float(opacity),
        int(samples),
        float(pruning.threshold),
        float(pruning.opaque),
        *(x.numpy() for x in (points, lengths, starts)),
    )
    return Samples(points[:found], lengths[:found], starts)


class _Lookup(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, anchor: Tensor, grids: tuple[FeatureGrid, ...], points: Tensor) -> Tensor:
        ctx.grids, ctx.points = grids, points
        if not uses_kernels(points):
            return torch.cat([dense.lookup(grid.values, points) for grid in grids], 1)
        out, offset = torch.empty(len(points), sum(grid.channels for grid in grids)), 0
        for grid in grids:
            kernels.lookup(grid.values.numpy(), points.numpy(), out.numpy(), offset)
            offset += grid.channels
        return out

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[None, None, None]:
        rows, offset = given[0].contiguous(), 0
        for grid in ctx.grids:
            assert grid.gradient is not None
            assert grid.touched is not None
            if uses_kernels(rows):
                arrays = [x.numpy() for x in (grid.gradient, grid.touched, ctx.points, rows)]
                kernels.scatter(*arrays, offset)
            else:
                part = rows[:, offset : offset + grid.channels]
                dense.scatter(grid.gradient, grid.touched, ctx.points, part)
            offset += grid.channels
        return None, None, None


def lookup(grids: tuple[FeatureGrid, ...], points: Tensor) -> Tensor:
    """(M, 3) points -> the grids' values side by side (M, C + C' + ...); their gradients gather in the grids."""
    anchor = torch.zeros((), device=points.device, requires_grad=True)
    found: Tensor = _Lookup.apply(anchor, grids, points)
    return found


class _Mix(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mixes: Tensor, grid: FeatureGrid, window: Tensor, points: Tensor, starts: Tensor) -> Tensor:
        images = grid.values[0]
        ctx.held = mixes, grid, window, points, starts
        if not uses_kernels(points):
            return dense.mix(images, window, points, _owners(starts), mixes)
        out = torch.empty(len(points), 4)
        mix_kernels.mix(*(x.numpy() for x in (images, window, points, starts, mixes.detach(), out)))
        return out

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor, None, None, None, None]:
        mixes, grid, window, points, starts = ctx.held
        rows = given[0].contiguous()
        assert grid.gradient is not None
        assert grid.touched is not None
        images, gradient, touched = grid.values[0], grid.gradient[0], grid.touched[0]
        if not uses_kernels(rows):
            owners = _owners(starts)
            found = dense.mix_backward(images, window, points, owners, mixes, rows, gradient, touched)
            return found, None, None, None, None
        to_mixes = torch.zeros_like(mixes)
        arrays = images, window, points, starts, mixes.detach(), rows, gradient, touched, to_mixes
        mix_kernels.mix_backward(*(x.numpy() for x in arrays))
        return to_mixes, None, None, None, None


def mix(mixes: Tensor, grid: FeatureGrid, window: Tensor, points: Tensor, starts: Tensor) -> Tensor:
    """(M, 4) what frames mix of the images of a grid (1, n, m, K * 4) at their points; see `mix_kernels.mix`."""
    found: Tensor = _Mix.apply(mixes.contiguous(), grid, window, points, starts)
    return found


def _owners(starts: Tensor) -> Tensor:
    """(G + 1,) numbers of the first rows -> (M,) number of each row's group."""
    counts = starts.diff()
    return torch.repeat_interleave(torch.arange(len(counts), device=starts.device), counts)


class _Composite(torch.autograd.Function):
    """By torch what it does for many numbers at once, exponentials, and by loops what follows the rays."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, lengths: Tensor, starts: Tensor, opacity: float) -> Tensor:
        out, weights = torch.empty(len(starts) - 1, 4), torch.empty(len(lengths))
        raw = logits[:, 3].contiguous()
        depth = torch.where(raw > float(kernels.STEEP), raw, raw.exp().log1p_()).mul_(lengths)
        shown, passed, found = logits.sigmoid(), depth.mul_(-opacity).exp_(), (out.numpy(), weights.numpy())
        kernels.composite(shown.numpy(), passed.numpy(), starts.numpy(), *found)
        ctx.held = shown.numpy(), lengths.numpy(), starts.numpy(), np.float32(opacity), *found
        return out

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = np.empty_like(ctx.held[0])
        kernels.composite_backward(*ctx.held, given[0].contiguous().numpy(), gradient)
        return torch.from_numpy(gradient), None, None, None


def composite(logits: Tensor, samples: Samples, opacity: float) -> Tensor:
    """(M, 4) logits of color and raw densities -> (R, 4) premultiplied color and opacity of the rays."""
    if uses_kernels(logits):
        found: Tensor = _Composite.apply(logits.contiguous(), samples.lengths, samples.starts, opacity)
        return found
    return dense.composite(logits, samples.lengths, _owners(samples.starts), len(samples.starts) - 1, opacity)
