"""A radiance field with its sampler: rays in, colors out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.nerf import grid_kernels as kernels
from lipbench.nerf.compositing import ALPHA_FLOOR, DENSITY_FLOOR, Composite, active_samples, composite, density
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.fused_mlp import FusedMLPField
from lipbench.nerf.grid import OccupancyGrid
from lipbench.nerf.mlp import MLPField
from lipbench.nerf.rays import Rays, box_interval, directions, slab
from lipbench.nerf.sampling import sample_pdf, stratified
from lipbench.nerf.shading import shaded
from lipbench.nerf.triplane import TriPlaneField

LONGEST_STEP = 3.0  # cells of the proposal: beyond the last sample before a gap there is nothing
PROPOSAL_FLOOR = 2e-3
MISSED = 1e-3  # meters
PROBES = 32  # readings of the hull along a ray


class RayColors(NamedTuple):
    """What rays show.

    Attributes:
        fine: what is shown.
        coarse: the first pass, None when a grid stood in for it.
        depth: (..., S + 1) of fine's samples and the background.
    """

    fine: Composite
    coarse: Composite | None
    depth: Tensor


class HeadField(nn.Module):
    """The networks of one head.

    Args:
        config: what to build.
        bounds: (2, 3) box of the head in its own space, meters.
    """

    bounds: Tensor

    def __init__(self, config: FieldConfig, bounds: Tensor) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("bounds", torch.as_tensor(bounds, dtype=torch.float32).clone())
        gridded = config.proposal == "grid" or config.interval == "hull"
        self.grid = OccupancyGrid(self.bounds) if gridded else None
        self.coarse = self._network() if config.proposal == "network" else None
        self.fine = self._network()

    def _network(self) -> nn.Module:
        c = self.config
        code = c.condition + c.latent
        if c.field == "triplane":
            return TriPlaneField(
                code,
                self.bounds,
                resolutions=c.resolutions,
                channels=c.channels,
                blended=c.blended,
                blend=c.blend,
                width=c.width,
                depth=c.depth,
                direction_frequencies=c.direction_frequencies,
            )
        return (FusedMLPField if c.fused else MLPField)(
            code,
            width=c.width,
            depth=c.depth,
            position_frequencies=c.position_frequencies,
            direction_frequencies=c.direction_frequencies,
            position_scale=c.position_scale,
            init=c.init,
            density_bias=c.density_bias,
        )

    def rays(
        self, c2w: Tensor, row: Tensor, column: Tensor, focal: float, center: tuple[float, float], near_far: Tensor
    ) -> Rays:
        """Rays of (F, R) pixels seen by (F, 3, 4) cameras, bounded as the configuration says."""
        d = directions(c2w, row, column, focal, center)
        origin = c2w[:, :, 3]
        if self.config.interval == "slab":
            near, far = slab(near_far, d.shape[1])
            return Rays(origin, d, near, far)
        near, far = box_interval(origin, d, self.bounds)
        # A ray that misses gets an interval too short to hold anything.
        rays = Rays(origin, d, near, torch.maximum(far, near + MISSED))
        return rays if self.config.interval == "box" else self._tightened(rays)

    def _tightened(self, rays: Rays) -> Rays:
        """From where a ray enters the hull to where it leaves it for good."""
        assert self.grid is not None
        if rays.near.device.type == "cpu":
            near, far = rays.near.clone(), rays.far.clone()
            start, slope = self.grid.in_cells(rays.origin, rays.direction)
            arrays = (x.contiguous().numpy() for x in (start, slope, self.grid.hull))
            kernels.tighten(*arrays, self.grid.size, PROBES, np.float32(MISSED), near.numpy(), far.numpy())
            return rays._replace(near=near, far=far)
        return self._tightened_in_torch(rays)

    def _tightened_in_torch(self, rays: Rays) -> Rays:
        """The same on any device."""
        assert self.grid is not None
        with torch.no_grad():
            share = (torch.arange(PROBES, device=rays.near.device) + 0.5) / PROBES
            step = (rays.far - rays.near)[..., None] / PROBES
            cells = self.grid.along(rays.origin, rays.direction, rays.near[..., None] + share * PROBES * step)
            inside = self.grid.hull[cells].to(torch.uint8)
            hit = inside.amax(-1) > 0
            # A bin whose middle lies outside may touch the hull: one more on either side.
            first = (inside.argmax(-1) - 1).clamp_min(0) * step[..., 0]
            last = (PROBES - inside.flip(-1).argmax(-1) + 1).clamp_max(PROBES) * step[..., 0]
            near = torch.where(hit, rays.near + first, rays.near)
            return rays._replace(near=near, far=torch.where(hit, rays.near + last, rays.near + MISSED))

    def sigma(self, raw: Tensor, points: Tensor) -> Tensor:
        """Raw output -> density per meter; 0 outside the hull."""
        found = density(raw, self.config.activation, self.config.density_scale)
        return found if self.grid is None else found * self.grid.hull[self.grid.cells(points)]

    def render(self, rays: Rays, background: Tensor, condition: Tensor, train: bool = False) -> RayColors:
        """Colors of rays.

        Args:
            rays: F frames, R rays each.
            background: (F, R, 3) in [0, 1].
            condition: (F, C) expression and latent.
            train: jitter the samples; color in the coarse pass too.
        """
        if self.config.proposal == "grid":
            return self.shade(rays, self.place(rays, train)[0], background, condition)
        length = rays.length
        unit = rays.direction / length
        z = stratified(rays.near, rays.far, self.config.coarse, train)
        first = self._pass(self.coarse, rays, z, unit, length, background, condition, train)
        with torch.no_grad():
            middle = 0.5 * (z[..., 1:] + z[..., :-1])
            drawn = sample_pdf(middle, first.weights[..., 1:], self.config.fine, "random" if train else "none")
            z = torch.sort(torch.cat([z, drawn], -1), -1).values
        fine = self._pass(self.fine, rays, z, unit, length, background, condition, True)
        return RayColors(fine, first, z)

    def _pass(
        self,
        net: nn.Module | None,
        rays: Rays,
        z: Tensor,
        unit: Tensor,
        length: Tensor,
        background: Tensor,
        condition: Tensor,
        color: bool,
    ) -> Composite:
        assert net is not None
        points = rays.at(z[..., :-1])

        def active(raw: Tensor) -> Tensor:
            with torch.no_grad():
                return active_samples(self.sigma(raw, points), z, length)

        rgb, raw = net(points, unit, condition, color, active)
        return composite(rgb, self.sigma(raw, points), z, length, background)

    @torch.no_grad()
    def place(self, rays: Rays, train: bool = False) -> tuple[Tensor, Tensor]:
        """Where the grid puts samples on rays.

        Args:
            rays: F frames, R rays each.
            train: draw each sample in its share of the weights. Else they are evenly spaced and the last lies where
                training has it in the mean, of however many: what is behind it nothing else shows.

        Returns:
            (F, R, S + 1) depths of the samples and of the end of the ray, and (F, R) how much the grid sees on it.
        """
        assert self.grid is not None
        c, near = self.config, rays.near
        count = c.fine if train else c.shown or c.fine
        inside = torch.full((1,), 1 - 0.5 * count / c.fine, device=near.device).expand(*near.shape, count)
        if train:
            inside = torch.rand(*near.shape, count, device=near.device)
        if near.device.type != "cpu":
            return self._placed_in_torch(rays, inside)
        depths, seen = near.new_empty(*near.shape, count + 1), torch.empty_like(near)
        start, slope = self.grid.in_cells(rays.origin, rays.direction)
        arrays = start, slope, near, rays.far, rays.length[..., 0], self.grid.wide
        floors = np.array([DENSITY_FLOOR, ALPHA_FLOOR, PROPOSAL_FLOOR], np.float32)
        taken = (x.numpy() for x in (inside.contiguous(), depths, seen))
        kernels.place(*(x.contiguous().numpy() for x in arrays), self.grid.size, c.coarse, floors, *taken)
        return depths, seen

    def _placed_in_torch(self, rays: Rays, inside: Tensor) -> tuple[Tensor, Tensor]:
        """`place` on any device, with (F, R, S) places of the samples within their shares."""
        assert self.grid is not None
        edges = stratified(rays.near, rays.far, self.config.coarse + 1, False)
        middle = 0.5 * (edges[..., 1:] + edges[..., :-1])
        found = self.grid.wide[self.grid.along(rays.origin, rays.direction, middle)]
        weights = composite(None, found, edges, rays.length, None).weights * (found > 0)
        seen = weights.sum(-1)
        # Neighboring bins lend each other weight: the surface may lie on either side of an edge.
        wide = torch.maximum(weights[..., 1:], weights[..., :-1])
        weights = 0.5 * (torch.cat([weights[..., :1], wide], -1) + torch.cat([wide, weights[..., -1:]], -1))
        z = sample_pdf(edges, weights, inside.shape[-1], inside, PROPOSAL_FLOOR)
        return torch.cat([z, rays.far[..., None]], -1), seen

    def shade(self, rays: Rays, z: Tensor, background: Tensor, condition: Tensor) -> RayColors:
        """Colors of rays at the depths that `place` answered."""
        points = rays.at(z[..., :-1])
        rgb, raw = self.fine(points, rays.direction / rays.length, condition, True)
        if raw.device.type != "cpu" or raw.dtype != torch.float32:
            return RayColors(self._composite_in_torch(rays, z, points, rgb, raw, background), None, z)
        assert self.grid is not None
        c, longest = self.config, LONGEST_STEP / self.config.coarse
        foreground, left, weights = shaded(
            rgb, raw, rays, z, self.grid, longest, c.density_scale, c.activation == "softplus"
        )
        shown = foreground + left[..., None] * background
        return RayColors(Composite(shown, foreground, weights, left), None, z)

    def _composite_in_torch(
        self, rays: Rays, z: Tensor, points: Tensor, rgb: Tensor, raw: Tensor, background: Tensor
    ) -> Composite:
        """Raw colors and densities at depths of rays, composited on any device."""
        longest = (rays.far - rays.near)[..., None] * (LONGEST_STEP / self.config.coarse)
        step = torch.minimum(z[..., 1:] - z[..., :-1], longest)
        ends = torch.cat([torch.zeros_like(z[..., :1]), step.cumsum(-1)], -1)
        return composite(rgb, self.sigma(raw, points), ends, rays.length, background)

    @torch.no_grad()
    def update_grid(self, condition: Tensor, share: float = 0.25) -> None:
        """Ask the field for the density of a random share of the hull's cells, under the code (1, C)."""
        if self.grid is None or self.config.proposal != "grid":
            return
        rows = torch.nonzero(self.grid.hull)[:, 0]
        rows = rows[torch.rand(len(rows), device=rows.device) < share]
        points = self.grid.centers(rows, jitter=True)
        for part in torch.split(torch.arange(len(rows), device=rows.device), 16384):
            x = points[part][None, :, None]
            _, raw = self.fine(x, torch.zeros_like(x[:, :, 0]), condition, False)
            found = density(raw, self.config.activation, self.config.density_scale)
            self.grid.ema(rows[part], found.reshape(-1))
        self.grid.dilate()
