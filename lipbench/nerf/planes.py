"""What tri-planes hold at points, with gradients: by `plane_kernels` on the CPU, in torch on any other device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from lipbench.nerf import plane_kernels as kernels

#: Which coordinates run along a plane's width and height: (x, y), (z, y), (x, z).
SIDES = np.array([(0, 1), (2, 1), (0, 2)], np.int64)


def channels_last(planes: Tensor) -> Tensor:
    """(..., C, H, W), the same with channels side by side in memory."""
    return planes.movedim(-3, -1).contiguous().movedim(-1, -3)


def shapes_last(shapes: Tensor) -> Tensor:
    """(K, ..., C, H, W), the same with the K channels of each texel side by side in memory."""
    return shapes.movedim((0, -3), (-2, -1)).contiguous().movedim((-2, -1), (0, -3))


def features(
    planes: tuple[Tensor, ...], front: Tensor, across: Tensor, shares: Tensor | None, points: Tensor
) -> Tensor:
    """What planes hold at the points of frames, those first that are the same in every frame.

    Args:
        planes: (3, C, r, r) each.
        front: (K, C, H, W), planes along x and y that each frame blends.
        across: (K, 2, C, h, w), those along z and y, x and z.
        shares: (G, K) of the blended ones, None to leave them out.
        points: (G, N, 3) in [-1, 1].

    Returns:
        (G N, 3 C + ... + 3), the points last.
    """
    if uses_kernels(points, front.shape[1]):
        shares = None if shares is None else shares.float()
        read: Tensor = _Features.apply(points, shares, front, across, *planes)
        return read
    flat = points.flatten(0, 1)
    grid = _along_sides(flat)[:, None]  # (3, 1, G N, 2)
    found = [_sampled(p, grid).permute(2, 0, 1).flatten(1) for p in planes]
    if shares is not None:
        found.append(_blended(front, across, shares, points))
    return torch.cat([*found, flat], 1)


def _blended(front: Tensor, across: Tensor, shares: Tensor, points: Tensor) -> Tensor:
    """The blended ones of `features` in torch, (G N, 3 C)."""
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
        planes: see `features`.
    """

    def __init__(self, planes: tuple[Tensor, ...]) -> None:
        self.planes = [(_flat(p), SIDES) for p in planes]

    @property
    def width(self) -> int:
        """Number of features."""
        return sum(len(axes) * plane.shape[3] for plane, axes in self.planes)

    def blend(self, front: Tensor, across: Tensor, shares: Tensor) -> None:
        """Planes that the frame blends by its (K,) shares, beside the others; see `features`."""
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


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, shares: Tensor | None, *planes: Tensor) -> Tensor:
        points = points.contiguous()
        ctx.shares = None if shares is None else shares.detach().contiguous()
        ctx.save_for_backward(points, *planes)
        (front, across), kept = planes[:2], planes[2:]
        channels = front.shape[1]
        width = 3 * channels * (len(kept) + (shares is not None)) + 3
        out, flat = torch.empty(*points.shape[:2], width), points.flatten(0, 1)
        rows, offset = out.flatten(0, 1).numpy(), 0
        for plane in kept:
            kernels.read(_flat(plane), SIDES, flat.numpy(), rows, offset)
            offset += 3 * channels
        if ctx.shares is not None:
            for shapes, axes, start in _both(front, across, offset):
                kernels.read_blended(shapes, axes, points.numpy(), ctx.shares.numpy(), out.numpy(), start)
        kernels.copy(flat.numpy(), rows, width - 3)
        return out.flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        points, front, across, *kept = ctx.saved_tensors
        rows, offset = given[0].contiguous().numpy(), 0
        gradients = []
        for plane in kept:
            gradient = np.zeros_like(_flat(plane))
            kernels.read_backward(gradient, SIDES, points.flatten(0, 1).numpy(), rows, offset)
            gradients.append(torch.from_numpy(gradient).permute(0, 3, 1, 2))
            offset += 3 * front.shape[1]
        if ctx.shares is None:
            return None, None, None, None, *gradients
        to_shares, made = torch.zeros_like(ctx.shares), []
        for shapes, axes, start in _both(front, across, offset):
            gradient = np.zeros_like(shapes)
            arrays = shapes, axes, points.numpy(), ctx.shares.numpy(), rows.reshape(*points.shape[:2], -1)
            kernels.read_blended_backward(*arrays, start, gradient, to_shares.numpy())
            made.append(torch.from_numpy(gradient).permute(3, 0, 4, 1, 2))  # (K, P, C, H, W)
        return None, to_shares, made[0][:, 0], made[1], *gradients


def uses_kernels(points: Tensor, channels: int) -> bool:
    """Whether the loops in numba are for these points, and planes of so many channels."""
    single = points.dtype == torch.float32 and not points.requires_grad
    return points.device.type == "cpu" and single and channels % 4 == 0


def _both(front: Tensor, across: Tensor, offset: int = 0) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """Blended planes as the kernels have them, their axes, and their first columns, `offset` and what follows."""
    return [(_shapes(front[:, None]), SIDES[:1], offset), (_shapes(across), SIDES[1:], offset + front.shape[1])]


def _flat(planes: Tensor) -> np.ndarray:
    """(P, C, H, W) -> (P, H, W, C), a view where `channels_last` made them."""
    return np.ascontiguousarray(planes.detach().permute(0, 2, 3, 1).numpy())


def _shapes(shapes: Tensor) -> np.ndarray:
    """(K, P, C, H, W) -> (P, H, W, K, C), a view where `shapes_last` made them."""
    return np.ascontiguousarray(shapes.detach().permute(1, 3, 4, 0, 2).numpy())


def _sampled(planes: Tensor, grid: Tensor) -> Tensor:
    """(B, C, H, W) planes at (B, 1, N, 2) points -> (B, C, N)."""
    return F.grid_sample(planes, grid, align_corners=True, padding_mode="border")[:, :, 0]
