"""Pixels to rays in head space."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Rays(NamedTuple):
    """F frames with R rays each.

    Attributes:
        origin: (F, 3) meters.
        direction: (F, R, 3), 1 long along the camera's axis, so that a parameter along it is a depth.
        near: (F, R).
        far: (F, R).
    """

    origin: Tensor
    direction: Tensor
    near: Tensor
    far: Tensor

    @property
    def length(self) -> Tensor:
        """(F, R, 1) length of a unit of depth along the ray."""
        return self.direction.norm(dim=-1, keepdim=True)

    def at(self, depth: Tensor) -> Tensor:
        """(F, R, S) depths -> (F, R, S, 3) points."""
        return self.origin[:, None, None] + self.direction[:, :, None] * depth[..., None]

    def part(self, rows: slice) -> Rays:
        """Some rays of every frame."""
        return Rays(self.origin, self.direction[:, rows], self.near[:, rows], self.far[:, rows])


def directions(c2w: Tensor, row: Tensor, column: Tensor, focal: float, center: tuple[float, float]) -> Tensor:
    """(F, 3, 4) cameras and (F, R) pixels -> (F, R, 3) ray directions, not normalized
    (AD-NeRF run_nerf_helpers.py, `get_rays`)."""
    x, y = (column - center[0]) / focal, -(row - center[1]) / focal
    local = torch.stack([x, y, -torch.ones_like(x)], -1)  # (F, R, 3)
    return local @ c2w[:, :, :3].transpose(1, 2)


def slab(near_far: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(F, 2) depths of a frame -> the same for each of its `count` rays."""
    return near_far[:, :1].expand(-1, count), near_far[:, 1:].expand(-1, count)


def box_interval(origin: Tensor, direction: Tensor, bounds: Tensor) -> tuple[Tensor, Tensor]:
    """Depths at which rays enter and leave a box.

    Args:
        origin: (F, 3).
        direction: (F, R, 3).
        bounds: (2, 3).

    Returns:
        near, far (F, R); near >= far where a ray misses the box.
    """
    safe = torch.where(direction.abs() < 1e-9, torch.full_like(direction, 1e-9), direction)
    a = (bounds[0] - origin[:, None]) / safe
    b = (bounds[1] - origin[:, None]) / safe
    near = torch.minimum(a, b).amax(-1)
    far = torch.maximum(a, b).amin(-1)
    return near.clamp_min(1e-3), far
