"""One step of an optimiser, as the small trainings take it: rate, gradient, clipping."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def cosine(number: int, warm_up: int, progress: float, floor: float = 0.01) -> float:
    """Share of the full rate at step `number`: linear up over `warm_up` steps, half a cosine down to `floor`.

    Args:
        progress: 0..1 of the budget.
    """
    return min(1.0, (number + 1) / warm_up) * (0.5 * (1 + math.cos(math.pi * progress)) + floor)


def descend(
    optimizer: torch.optim.Optimizer, loss: Tensor, parameters: Iterable[nn.Parameter], rate: float, longest: float
) -> None:
    """Take a step down the loss.

    Args:
        parameters: whose gradient is cut to the norm `longest`.
        rate: of every group, times its own "share" where it has one.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, longest)
    optimizer.step()
