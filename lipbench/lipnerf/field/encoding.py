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
