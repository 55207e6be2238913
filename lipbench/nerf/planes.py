"""What tri-planes hold at points, with gradients: by `plane_kernels` on the CPU, in torch on any other device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.nerf import plane_kernels as kernels

#: Which coordinates run along a plane's width and height: (x, y), (z, y), (x, z).
SIDES = np.array([(0, 1), (2, 1), (0, 2)], np.int64)


def channels_last(planes: Tensor) -> Tensor:
    """(..., C, H, W), the same with channels side by side in memory."""
    return planes.movedim(-3, -1).contiguous().movedim(-1, -3)


def shapes_last(shapes: Tensor) -> Tensor:
    """(K, ..., C, H, W), the same with the K channels of each texel side by side in memory."""
    return shapes.movedim((0, -3), (-2, -1)).contiguous().movedim((-2, -1), (0, -3))


def held(planes: tuple[Tensor, ...], points: Tensor) -> Tensor:
    """Planes (3, C, r, r), several, at points (N, 3) in [-1, 1] -> (N, 3 C + 3 C + ...)."""
    if not uses_kernels(points, planes[0].shape[1]):
        grid = _along_sides(points)[:, None]  # (3, 1, N, 2)
        return torch.cat([_sampled(p, grid).permute(2, 0, 1).flatten(1) for p in planes], 1)
    found: Tensor = _Held.apply(points, *planes)
    return found


def blended(front: Tensor, across: Tensor, shares: Tensor, points: Tensor) -> Tensor:
    """Planes that each frame blends, at its points.

    Args:
        front: (K, C, H, W), the planes along x and y.
        across: (K, 2, C, h, w), those along z and y, x and z.
        shares: (G, K).
        points: (G, N, 3) in [-1, 1].

    Returns:
        (G N, 3 C).
    """
    if uses_kernels(points, front.shape[1]):
        found: Tensor = _Blended.apply(points, shares.float(), front, across)
        return found
    g, n, _ = points.shape
    sides = _along_sides(points)  # (3, G, N, 2)
    plane = (shares @ front.flatten(1)).view(g, *front.shape[1:])
    first = _sampled(plane, sides[0][:, None]).transpose(1, 2).reshape(g * n, -1)
    planes = (shares @ across.flatten(1)).view(g * 2, *across.shape[2:])
    seen = _sampled(planes, sides[1:].transpose(0, 1).reshape(g * 2, 1, n, 2)).view(g, -1, n)
    return torch.cat([first, seen.transpose(1, 2).reshape(g * n, -1)], 1)


def _along_sides(points: Tensor) -> Tensor:
    """(..., 3) points -> (3, ..., 2) on the three planes; an index by `SIDES` would go to the device each time."""
    return torch.stack([torch.stack([points[..., a], points[..., b]], -1) for a, b in SIDES.tolist()])


class OneFrame:
    """Planes as one frame has them: for many points under one code, on the CPU, without gradients.

    Args:
        planes: see `held`.
    """

    def __init__(self, planes: tuple[Tensor, ...]) -> None:
        self.planes = [(_flat(p), SIDES) for p in planes]

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(len(axes) * plane.shape[3] for plane, axes in self.planes)

    def blend(self, front: Tensor, across: Tensor, shares: Tensor) -> None:
        """Planes that the frame blends by its (K,) shares, beside the others; see `blended`."""
        for shapes, axes, _ in _both(front, across):
            made = np.zeros((*shapes.shape[:3], shapes.shape[4]), np.float32)
            kernels.blend(shapes, shares.detach().float().numpy(), made)
            self.planes.append((made, axes))

    def read(self, points: Tensor, out: Tensor) -> None:
        """(N, 3) points: their features and they themselves into the columns of `out` (N, width + 3)."""
        at, to, offset = points.numpy(), out.numpy(), 0
        for plane, axes in self.planes:
            kernels.read(plane, axes, at, to, offset)
            offset += len(axes) * plane.shape[3]
        kernels.copy(at, to, offset)


class _Held(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, *planes: Tensor) -> Tensor:
        ctx.points, ctx.planes = points.contiguous(), planes
        out, offset = torch.empty(len(points), sum(3 * p.shape[1] for p in planes)), 0
        for plane in planes:
            kernels.read(_flat(plane), SIDES, ctx.points.numpy(), out.numpy(), offset)
            offset += 3 * plane.shape[1]
        return out

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        rows, offset, gradients = given[0].contiguous().numpy(), 0, []
        for plane in ctx.planes:
            gradient = np.zeros_like(_flat(plane))
            kernels.read_backward(gradient, SIDES, ctx.points.numpy(), rows, offset)
            gradients.append(torch.from_numpy(gradient).permute(0, 3, 1, 2))
            offset += 3 * plane.shape[1]
        return None, *gradients


class _Blended(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, shares: Tensor, front: Tensor, across: Tensor) -> Tensor:
        ctx.points, ctx.shares, ctx.shapes = points.contiguous(), shares.detach().contiguous(), (front, across)
        out = torch.empty(*points.shape[:2], 3 * front.shape[1])
        for shapes, axes, offset in _both(front, across):
            kernels.read_blended(shapes, axes, ctx.points.numpy(), ctx.shares.numpy(), out.numpy(), offset)
        return out.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, *given: Tensor) -> tuple[None, Tensor, Tensor, Tensor]:
        rows = given[0].contiguous().view(*ctx.points.shape[:2], -1).numpy()
        to_shares, made = torch.zeros_like(ctx.shares), []
        for shapes, axes, offset in _both(*ctx.shapes):
            gradient = np.zeros_like(shapes)
            arrays = shapes, axes, ctx.points.numpy(), ctx.shares.numpy(), rows
            kernels.read_blended_backward(*arrays, offset, gradient, to_shares.numpy())
            made.append(torch.from_numpy(gradient).permute(3, 0, 4, 1, 2))  # (K, P, C, H, W)
        return None, to_shares, made[0][:, 0], made[1]


def uses_kernels(points: Tensor, channels: int) -> bool:
    """Whether the loops in numba are for these points, and planes of so many channels."""
    single = points.dtype == torch.float32 and not points.requires_grad
    return points.device.type == "cpu" and single and channels % 4 == 0


def _both(front: Tensor, across: Tensor) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Blended planes as the kernels have them, their axes, and their first column."""
    return [(_shapes(front[:, None]), SIDES[:1], 0), (_shapes(across), SIDES[1:], front.shape[1])]


def _flat(planes: Tensor) -> np.ndarray:
    """(P, C, H, W) -> (P, H, W, C), a view where `channels_last` made them."""
    return np.ascontiguousarray(planes.detach().permute(0, 2, 3, 1).numpy())


def _shapes(shapes: Tensor) -> np.ndarray:
    """(K, P, C, H, W) -> (P, H, W, K, C), a view where `shapes_last` made them."""
    return np.ascontiguousarray(shapes.detach().permute(1, 3, 4, 0, 2).numpy())


def _sampled(planes: Tensor, grid: Tensor) -> Tensor:
    """(B, C, H, W) planes at (B, 1, N, 2) points -> (B, C, N)."""
    return F.grid_sample(planes, grid, align_corners=True, padding_mode="border")[:, :, 0]
