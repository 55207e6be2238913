"""Where along its ray a field is asked."""

from __future__ import annotations

import torch
from torch import Tensor


def stratified(near: Tensor, far: Tensor, count: int, jitter: bool) -> Tensor:
    """(...,) bounds -> (..., count) increasing depths; the last is `far` exactly, for it is the background's
    (AD-NeRF run_nerf.py, `render_rays`)."""
    t = torch.linspace(0.0, 1.0, count, device=near.device, dtype=near.dtype)
    z = near[..., None] * (1.0 - t) + far[..., None] * t
    if not jitter:
        return z
    middle = 0.5 * (z[..., 1:] + z[..., :-1])
    upper = torch.cat([middle, z[..., -1:]], -1)
    lower = torch.cat([z[..., :1], middle], -1)
    u = torch.rand_like(z)
    u[..., -1] = 1.0
    return lower + (upper - lower) * u


def sample_pdf(edges: Tensor, weights: Tensor, count: int, jitter: str | Tensor, floor: float = 1e-5) -> Tensor:
    """Draw depths from a histogram by inverting its distribution function (NeRF 5.2).

    Args:
        edges: (..., B + 1) bin edges.
        weights: (..., B), any scale.
        jitter: "none" for equal steps of probability from 0 to 1, "random" for independent draws (AD-NeRF), or
            (..., count) in [0, 1): where each sample lies in its one of `count` steps; these come out sorted.
        floor: added to every weight, so that no bin is left out for good.
    """
    w = weights + floor
    cdf = torch.cumsum(w / w.sum(-1, keepdim=True), -1)
    cdf = torch.cat([torch.zeros_like(cdf[..., :1]), cdf], -1)
    shape = (*cdf.shape[:-1], count)
    if isinstance(jitter, Tensor):
        step = torch.arange(count, device=cdf.device, dtype=cdf.dtype)
        u = ((step + jitter) / count).contiguous()
    elif jitter == "random":
        u = torch.rand(shape, device=cdf.device, dtype=cdf.dtype)
    elif jitter != "none":
        raise ValueError(f"no such jitter: {jitter}")
    else:
        u = torch.linspace(0.0, 1.0, count, device=cdf.device, dtype=cdf.dtype).expand(shape).contiguous()
    above = torch.searchsorted(cdf, u, right=True)
    below = (above - 1).clamp_min(0)
    above = above.clamp_max(cdf.shape[-1] - 1)
    c0, c1 = cdf.gather(-1, below), cdf.gather(-1, above)
    e0, e1 = edges.gather(-1, below), edges.gather(-1, above)
    span = c1 - c0
    span = torch.where(span < 1e-5, torch.ones_like(span), span)
    return e0 + (u - c0) / span * (e1 - e0)
