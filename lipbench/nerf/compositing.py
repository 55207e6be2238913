"""Density and color along rays -> pixels (AD-NeRF run_nerf.py, `raw2outputs`).

The last sample of a ray is the background: its color is the plate's and its opacity 1, so no network is asked there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

DENSITY_FLOOR = 1e-6  # AD-NeRF adds it to every density
ALPHA_FLOOR = 1e-10  # and this to every factor of the transmittance
UNSEEN = 1e-9  # a weight or a transmittance below which a sample shows nothing: 200 of them are 2e-7

#: Raw density -> bool of the same shape, the active samples (see `active_samples`).
SampleMask = Callable[[Tensor], Tensor]


class Composite(NamedTuple):
    """One pass over the rays.

    Attributes:
        rgb: (..., 3) color over the background, None without colors.
        foreground: (..., 3) the head's share of it (premultiplied).
        weights: (..., S) of the samples without the background.
        transmittance: (...,) share of the background, AD-NeRF's `last_weight`; the head's opacity is 1 minus it.
    """

    rgb: Tensor | None
    foreground: Tensor | None
    weights: Tensor
    transmittance: Tensor


def at_least_single(x: Tensor) -> Tensor:
    """bfloat16 and half precision end where sums along a ray begin."""
    return x.float() if x.element_size() < 4 else x


def density(raw: Tensor, activation: str, scale: float = 1.0) -> Tensor:
    """Raw network output -> density per meter.

    Args:
        activation: "relu" as AD-NeRF, or "softplus" (shifted by 1 as mip-NeRF's), whose gradient never vanishes.
    """
    raw = at_least_single(raw)
    return scale * (F.relu(raw) if activation == "relu" else F.softplus(raw - 1.0))


def composite(
    color: Tensor | None, sigma: Tensor, depth: Tensor, length: Tensor, background: Tensor | None
) -> Composite:
    """Blend S samples and the background.

    Args:
        color: (..., S, 3) raw color, or None.
        sigma: (..., S) density per meter.
        depth: (..., S + 1) of the samples and of the background, along the axis.
        length: (..., 1) of the ray per unit of depth.
        background: (..., 3) in [0, 1], None with `color` None.
    """
    weights, _, transmittance = _weights(sigma, depth, length)
    if color is None or background is None:
        return Composite(None, None, weights, transmittance)
    foreground = (weights[..., None] * torch.sigmoid(at_least_single(color))).sum(-2)
    return Composite(foreground + transmittance[..., None] * background, foreground, weights, transmittance)


def active_samples(sigma: Tensor, depth: Tensor, length: Tensor) -> Tensor:
    """Samples that have a color to show or a gradient to take; arguments as `composite`'s.

    Left out is what lies behind something opaque, and what has no density: there a ReLU has no gradient, and in single
    precision AD-NeRF's floor of the density is an opacity of exactly 0 over the 3 cm and less between samples.
    """
    weights, before, _ = _weights(sigma, depth, length)
    return (before > UNSEEN) & ((sigma > 0) | (weights > UNSEEN))


def _weights(sigma: Tensor, depth: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(..., S) weights, (..., S) transmittance up to each sample, (...,) transmittance of the whole ray."""
    step = (depth[..., 1:] - depth[..., :-1]) * length
    alpha = 1.0 - torch.exp(-(sigma + DENSITY_FLOOR) * step)
    kept = torch.cumprod(1.0 - alpha + ALPHA_FLOOR, -1)
    before = torch.cat([torch.ones_like(kept[..., :1]), kept[..., :-1]], -1)
    return alpha * before, before, kept[..., -1]
