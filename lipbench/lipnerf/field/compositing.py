"""Density and colour along rays -> pixels (AD-NeRF run_nerf.py, `raw2outputs`).

The last sample of a ray is the background: its colour is the plate's and its opacity 1, so no network is asked there.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

DENSITY_FLOOR = 1e-6  # AD-NeRF adds it to every density
ALPHA_FLOOR = 1e-10  # and this to every factor of the transmittance


class Composite(NamedTuple):
    """One pass over the rays.

    rgb: (..., 3) colour over the background, None without colours. foreground: (..., 3) the head's share of it
    (premultiplied). weights: (..., S) of the samples without the background. transmittance: (...,) share of the
    background, AD-NeRF's `last_weight`; the head's opacity is 1 minus it.
    """

    rgb: Tensor | None
    foreground: Tensor | None
    weights: Tensor
    transmittance: Tensor


def at_least_single(x: Tensor) -> Tensor:
    """bfloat16 and half precision end where sums along a ray begin."""
    return x.float() if x.element_size() < 4 else x


def density(raw: Tensor, activation: str, scale: float = 1.0) -> Tensor:
    """Raw network output -> density per metre.

    activation: "relu" as AD-NeRF, or "softplus" (shifted by 1 as mip-NeRF's), whose gradient never vanishes.
    """
    raw = at_least_single(raw)
    return scale * (F.relu(raw) if activation == "relu" else F.softplus(raw - 1.0))


def composite(
    color: Tensor | None, sigma: Tensor, depth: Tensor, length: Tensor, background: Tensor | None
) -> Composite:
    """Blend S samples and the background.

    Args:
        color: (..., S, 3) raw colour, or None. sigma: (..., S) density per metre.
        depth: (..., S + 1) of the samples and of the background, along the axis.
        length: (..., 1) of the ray per unit of depth. background: (..., 3) in [0, 1], None with `color` None.
    """
    step = (depth[..., 1:] - depth[..., :-1]) * length
    alpha = 1.0 - torch.exp(-(sigma + DENSITY_FLOOR) * step)
    kept = torch.cumprod(1.0 - alpha + ALPHA_FLOOR, -1)
    weights = alpha * torch.cat([torch.ones_like(kept[..., :1]), kept[..., :-1]], -1)
    transmittance = kept[..., -1]
    if color is None or background is None:
        return Composite(None, None, weights, transmittance)
    foreground = (weights[..., None] * torch.sigmoid(at_least_single(color))).sum(-2)
    return Composite(foreground + transmittance[..., None] * background, foreground, weights, transmittance)
