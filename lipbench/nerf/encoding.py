"""Positional encoding of NeRF as AD-NeRF uses it: raw input first, no factor pi, sine and cosine in turn."""

from __future__ import annotations

import torch
from torch import Tensor


def encoded_size(frequencies: int, dims: int = 3) -> int:
    """Length of the encoding of a vector of `dims` numbers: 63 for 10 frequencies, 27 for 4."""
    return dims * (1 + 2 * frequencies)


def positional_encoding(x: Tensor, frequencies: int) -> Tensor:
    """(..., D) -> (..., D (1 + 2 L)): [x, sin(2^0 x), cos(2^0 x), ..., sin(2^(L-1) x), cos(2^(L-1) x)]
    (AD-NeRF run_nerf_helpers.py, `Embedder`)."""
    if not frequencies:
        return x
    scale = 2.0 ** torch.arange(frequencies, device=x.device, dtype=x.dtype)
    angle = x.unsqueeze(-2) * scale[:, None]  # (..., L, D)
    waves = torch.stack([angle.sin(), angle.cos()], -2)  # (..., L, 2, D)
    return torch.cat([x, waves.flatten(-3)], -1)


def encoded_columns(points: Tensor, frequencies: int) -> Tensor:
    """(N, D) -> (D (1 + 2 L), N), the same numbers with all sines before all cosines: every row is one stretch of
    memory, which is what a processor's sine wants. `waves_first` brings weights into this order."""
    count, dims = points.shape
    x = points.t()
    out = points.new_empty(encoded_size(frequencies, dims), count)
    out[:dims] = x
    if frequencies:
        scale = 2.0 ** torch.arange(frequencies, device=x.device, dtype=x.dtype)
        angle = (scale[:, None, None] * out[:dims]).view(frequencies * dims, count)
        sines, cosines = out[dims:].split(frequencies * dims)
        torch.sin(angle, out=sines)
        torch.cos(angle, out=cosines)
    return out


def waves_first(weight: Tensor, frequencies: int, dims: int = 3) -> Tensor:
    """(O, D (1 + 2 L)) weights on `positional_encoding` -> the same on `encoded_columns`."""
    if not frequencies:
        return weight
    waves = weight[:, dims:].unflatten(1, (frequencies, 2, dims)).transpose(1, 2)
    return torch.cat([weight[:, :dims], waves.flatten(1)], 1)
