"""A voxel grid of the density: where samples are worth their cost (Instant-NGP's and RAD-NeRF's occupancy grid).

The grid takes the place of the coarse network where time is short: reading it costs next to nothing. Cells that no head
mask ever shows (the visual hull) are empty by definition, in the proposal and in the field.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.nerf.scene import Scene

SIZE = 48
DECAY = 0.95
START = 100.0  # 1/m: half opaque over 7 mm, so that the first samples go to the hull's surface


class OccupancyGrid(nn.Module):
    """(G, G, G) densities per meter over the scene's box, [x, y, z]; `hull` tells the cells that may hold the head."""

    bounds: Tensor
    values: Tensor
    hull: Tensor
    wide: Tensor

    def __init__(self, bounds: Tensor, size: int = SIZE) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("bounds", torch.as_tensor(bounds, dtype=torch.float32).clone())
        self.register_buffer("values", torch.full((size**3,), START))
        self.register_buffer("hull", torch.ones(size**3, dtype=torch.bool))
        self.register_buffer("wide", self.values.clone())

    def cells(self, points: Tensor) -> Tensor:
        """(..., 3) points -> (...,) cell numbers; points outside take the nearest cell."""
        low, high = self.bounds
        i = ((points - low) * (self.size / (high - low))).to(torch.int32).clamp_(0, self.size - 1)
        return (i[..., 0] * self.size + i[..., 1]) * self.size + i[..., 2]

    def in_cells(self, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
        """Rays (F, 3), (F, R, 3) with the grid's cells for a unit of length, from its corner."""
        low, high = self.bounds
        scale = self.size / (high - low)
        return (origin - low) * scale, direction * scale

    def along(self, origin: Tensor, direction: Tensor, depth: Tensor) -> Tensor:
        """Cells of the points of (F, R, S) depths on rays (F, 3), (F, R, 3); as `cells`, without making the points."""
        start, slope = self.in_cells(origin, direction)
        index: Tensor | int = 0
        for k in range(3):
            i = torch.addcmul(start[:, k, None, None], slope[..., k, None], depth)
            index = index * self.size + i.to(torch.int32).clamp_(0, self.size - 1)
        assert isinstance(index, Tensor)
        return index

    def centers(self, rows: Tensor, jitter: bool) -> Tensor:
        """(N,) cell numbers -> (N, 3) points in them."""
        n = self.size
        i = torch.stack([rows // (n * n), rows // n % n, rows % n], -1).float()
        i = i + (torch.rand_like(i) if jitter else 0.5)
        return self.bounds[0] + i / n * (self.bounds[1] - self.bounds[0])

    def ema(self, rows: Tensor, density: Tensor) -> None:
        """Cells `rows` were found to hold `density`: the larger of that and the faded old value stays."""
        self.values[rows] = torch.maximum(self.values[rows] * DECAY, density.float()) * self.hull[rows]

    def dilate(self) -> None:
        """Set `wide`: the largest density of each cell and its neighbors, so that no moving lip is missed."""
        n = self.size
        self.wide.copy_(F.max_pool3d(self.values.view(1, 1, n, n, n), 3, 1, 1).view(-1) * self.hull)


def carve(grid: OccupancyGrid, scene: Scene, *, margin: float = 0.05, share: float = 0.97, views: int = 40) -> None:
    """Set the grid's hull from the scene's masks: cells seen inside the grown head mask in `share` of the frames.

    Args:
        margin: by which masks grow, as a share of the head's width: covers errors of pose and mask.
        views: frames looked at.
    """
    import cv2

    device = grid.values.device
    points = grid.centers(torch.arange(grid.size**3, device=device), jitter=False).cpu().numpy().astype(np.float64)
    spread = np.unique(np.linspace(0, len(scene) - 1, views).round().astype(int))
    chosen = [int(t) for t in spread if scene.head[t].any()]
    h, w = scene.size
    width = np.median([np.ptp(np.flatnonzero(scene.head[t].any(0))) for t in chosen])
    reach = max(1, round(margin * width))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    inside = np.zeros(len(points))
    for t in chosen:
        mask = cv2.dilate(scene.head[t].astype(np.uint8), kernel)
        rotation, origin = scene.c2w[t, :, :3].astype(np.float64), scene.c2w[t, :, 3].astype(np.float64)
        local = (points - origin) @ rotation
        depth = np.maximum(-local[:, 2], 1e-3)
        column = np.round(scene.focal * local[:, 0] / depth + scene.center[0]).astype(int)
        row = np.round(-scene.focal * local[:, 1] / depth + scene.center[1]).astype(int)
        out = (column < 0) | (column >= w) | (row < 0) | (row >= h)
        # What the image does not show cannot be ruled out.
        inside += np.where(out, True, mask[np.clip(row, 0, h - 1), np.clip(column, 0, w - 1)].astype(bool))
    hull = torch.from_numpy(inside >= share * len(chosen)).to(device)
    grid.hull.copy_(hull)
    grid.values.copy_(torch.where(hull, torch.full_like(grid.values, START), torch.zeros_like(grid.values)))
    grid.dilate()
