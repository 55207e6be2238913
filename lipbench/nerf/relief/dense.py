"""The loops of `kernels.py` in torch, for devices other than the CPU: the same functions, whole arrays at a time."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lipbench.nerf.relief.kernels import STEEP


class Views(NamedTuple):
    """Where frames are seen from, and what of the relief each of their pixels may meet; see `kernels.march`.

    Attributes:
        focal: px.
        center: (cx, cy) px; pixel x covers [x, x + 1).
        rotation: (F, 3, 3) head to camera.
        translation: (F, 3) dm.
        shift: (F, H, W, 3) dm.
        near: (F, H, W) dm.
        far: (F, H, W) dm. Where it is `near` a pixel sees what lies behind the lips, there.
        front: dm from where rays enter to where they meet the one surface that the relief is, see `straight`; 0 where
            it has depth.
        jaw: (F, 3, 4) from head space to where the jaw has it at rest, dm.
        slip: (F, 2) how far to the right and up of where the pose says the teeth are, in units of `mouth.SLIP`.
    """

    focal: float
    center: tuple[float, float]
    rotation: Tensor
    translation: Tensor
    shift: Tensor
    near: Tensor
    far: Tensor
    front: float = 0.0
    jaw: Tensor | None = None
    slip: Tensor | None = None


def cells(value: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """[0, 1] -> the lower one of the two texels about it, of n, and the share of the upper one."""
    at = (value * n - 0.5).clamp(0.0, n - 1.001)
    low = at.to(torch.int64)
    return low, at - low


def at(values: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """A map (h, w) at places (...) of [0, 1]."""
    (iu, au), (iv, av) = cells(u, values.shape[1]), cells(v, values.shape[0])
    above = (1 - au) * values[iv, iu] + au * values[iv, iu + 1]
    below = (1 - au) * values[iv + 1, iu] + au * values[iv + 1, iu + 1]
    return (1 - av) * above + av * below


def height(z: Tensor, back: Tensor, front: Tensor) -> Tensor:
    """The coordinate s of depths z (dm), see `kernels.height`."""
    return ((z - back) / (front - back)).clamp(0.0, 1.0)


def candidates(
    views: Views,
    frames: Tensor,
    columns: Tensor,
    rows: Tensor,
    jitter: Tensor,
    surfaces: Tensor,
    place: Tensor,
    samples: int,
) -> tuple[Tensor, Tensor]:
    """(R, S, 3) points (u, v, s) of all candidates and (R, S) their steps as shares of the relief's thickness.

    Args:
        views: cameras and maps.
        frames: (R,) row of `views`.
        columns: (R,) px.
        rows: (R,) px.
        jitter: (R,) in [0, 1), where in its bin each sample of a ray lies.
        surfaces: (2 or more, h, w) dm, back and front of the relief.
        place: (4,) left, top, width, height of the relief, dm.
        samples: S.
    """
    x, y = columns.to(torch.int64), rows.to(torch.int64)
    columns, rows, jitter = (each.to(views.rotation.dtype) for each in (columns, rows, jitter))
    rx, ry = (columns - views.center[0]) / views.focal, (views.center[1] - rows) / views.focal
    first = views.near[frames, y, x]
    step = (views.far[frames, y, x] - first) / samples
    depth = first[:, None] + (torch.arange(samples, device=x.device) + jitter[:, None]) * step[:, None]
    seen = torch.stack([rx[:, None] * depth, ry[:, None] * depth, -depth], -1) - views.translation[frames][:, None]
    p = torch.einsum("rsi,rij->rsj", seen, views.rotation[frames]) - views.shift[frames, y, x][:, None]
    u = ((p[..., 0] - place[0]) / place[2]).clamp(0.0, 1.0)
    v = ((place[1] - p[..., 1]) / place[3]).clamp(0.0, 1.0)
    back, front = (at(each, u, v) for each in surfaces[:2])
    s = height(p[..., 2], back, front)
    length = step * (1 + rx * rx + ry * ry).sqrt()
    return torch.stack([u, v, s], -1).float(), (length[:, None] / (front - back)).float()


def kept(
    points: Tensor, lengths: Tensor, density: Tensor, opacity: float, threshold: float, opaque: float, keep: Tensor
) -> Tensor:
    """(R, S) bool: candidates where something may be, up to where all is opaque; see `kernels.march`."""
    layers, n, m = density.shape
    ju, jv = (points[..., 0] * m).long().clamp_max(m - 1), (points[..., 1] * n).long().clamp_max(n - 1)
    raw = density[(points[..., 2] * (layers - 1) + 0.5).long(), jv, ju]
    some = ((raw > threshold) | keep[:, None]) & (lengths > 0)
    depth = F.softplus(raw, threshold=float(STEEP)) * opacity * lengths * some
    before = depth.cumsum(1) - depth
    return some & (before <= opaque)


def corners(shape: torch.Size, points: Tensor) -> tuple[Tensor, Tensor]:
    """(M, 8) numbers of the texels about points (M, 3) in a grid (L, n, m, C), and (M, 8) their shares."""
    layers, n, m = shape[:3]
    (iu, au), (iv, av) = cells(points[:, 0], m), cells(points[:, 1], n)
    at = (points[:, 2] * (layers - 1)).clamp_max(layers - 1.001)
    il = at.to(torch.int64)
    al = at - il
    numbers, shares = [], []
    for corner in range(8):
        dl, dv, du = corner >> 2, (corner >> 1) & 1, corner & 1
        numbers.append(((il + dl) * n + iv + dv) * m + iu + du)
        shares.append((al if dl else 1 - al) * (av if dv else 1 - av) * (au if du else 1 - au))
    return torch.stack(numbers, 1), torch.stack(shares, 1)


def lookup(grid: Tensor, points: Tensor) -> Tensor:
    """Trilinear values (M, C) of a grid (L, n, m, C) at points (M, 3)."""
    numbers, shares = corners(grid.shape, points)
    return (grid.reshape(-1, grid.shape[3])[numbers] * shares[..., None]).sum(1)


def scatter(gradient: Tensor, touched: Tensor, points: Tensor, given: Tensor) -> None:
    """Backward of `lookup`: adds to `gradient` (L, n, m, C) and marks texels in `touched` (L, n, m)."""
    numbers, shares = corners(gradient.shape, points)
    channels = gradient.shape[3]
    rows = (given[:, None] * shares[..., None]).reshape(-1, channels)
    gradient.view(-1, channels).index_add_(0, numbers.reshape(-1), rows)
    touched.view(-1).index_fill_(0, numbers[shares > 0], 1)


def windowed(window: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    """(M, 4) numbers of the texels about points (M, 3) in (n, m), and (M, 4) their shares times the window."""
    n, m = window.shape
    (iu, au), (iv, av) = cells(points[:, 0], m), cells(points[:, 1], n)
    numbers = torch.stack([iv * m + iu, iv * m + iu + 1, (iv + 1) * m + iu, (iv + 1) * m + iu + 1], 1)
    shares = torch.stack([(1 - av) * (1 - au), (1 - av) * au, av * (1 - au), av * au], 1)
    return numbers, shares * window.reshape(-1)[numbers]


def mix(grid: Tensor, window: Tensor, points: Tensor, owners: Tensor, mixes: Tensor) -> Tensor:
    """(M, 4) sums of the images (n, m, K * 4) at points (M, 3), times numbers (G, K) of the points' owners (M,)."""
    numbers, shares = windowed(window, points)
    images = grid.reshape(-1, mixes.shape[1], 4)[numbers]
    return torch.einsum("mjkc,mj,mk->mc", images, shares, mixes[owners])


def mix_backward(
    grid: Tensor,
    window: Tensor,
    points: Tensor,
    owners: Tensor,
    mixes: Tensor,
    given: Tensor,
    gradient: Tensor,
    touched: Tensor,
) -> Tensor:
    """Backward of `mix`: adds to `gradient` (n, m, K * 4), marks `touched` (n, m), returns (G, K)."""
    numbers, shares = windowed(window, points)
    images = grid.reshape(-1, mixes.shape[1], 4)[numbers]
    rows = torch.einsum("mj,mk,mc->mjkc", shares, mixes[owners], given).reshape(-1, grid.shape[-1])
    gradient.view(-1, grid.shape[-1]).index_add_(0, numbers.reshape(-1), rows)
    touched.view(-1).index_fill_(0, numbers[shares > 0], 1)
    seen = torch.einsum("mjkc,mj,mc->mk", images, shares, given)
    return torch.zeros_like(mixes).index_add_(0, owners, seen)


def adam(
    values: Tensor,
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    touched: Tensor,
    rate: float,
    betas: tuple[float, float],
    corrections: tuple[float, float],
    floor: Tensor,
) -> None:
    """One step of Adam for the texels of (P, C) that were touched; clears their gradients."""
    on = touched[:, None] > 0
    a = torch.where(on, betas[0] * first + (1 - betas[0]) * gradient, first)
    b = torch.where(on, betas[1] * second + (1 - betas[1]) * gradient * gradient, second)
    first.copy_(a)
    second.copy_(b)
    values.sub_(torch.where(on, rate * (a * corrections[0]) / ((b * corrections[1]).sqrt() + floor[:, None]), 0.0))
    gradient.zero_()
    touched.zero_()


def composite(logits: Tensor, lengths: Tensor, rays: Tensor, count: int, opacity: float) -> Tensor:
    """Volume rendering: (M, 4) logits of color and raw densities -> (count, 4) premultiplied color and opacity.

    Args:
        logits: (M, 4).
        lengths: (M,) see `kernels.march`.
        rays: (M,) number of each sample's ray, ascending.
        count: of the rays.
        opacity: see `ReliefConfig`.
    """
    depth = F.softplus(logits[:, 3], threshold=float(STEEP)) * opacity * lengths
    # Sums over all samples before, less those of the rays before: in double precision, which the difference needs.
    total = depth.double().cumsum(0)
    ends = torch.cat([total.new_zeros(1), total])
    starts = torch.searchsorted(rays, torch.arange(count, device=rays.device))
    before = (ends[:-1] - ends[starts][rays]).to(depth.dtype)
    weights = torch.exp(-before) * (1 - torch.exp(-depth))
    held = torch.cat([torch.sigmoid(logits[:, :3]), torch.ones_like(depth)[:, None]], 1) * weights[:, None]
    return logits.new_zeros(count, 4).index_add(0, rays, held)
