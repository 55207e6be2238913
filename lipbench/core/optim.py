"""Learning-rate schedules and one optimizer step, shared by all trainings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn


def warmup(number: int, steps: int) -> float:
    """Share of the rate at step `number` (from 0): 1 / steps, 2 / steps, ... 1; always 1 for no steps."""
    return min(1.0, (number + 1) / steps) if steps else 1.0


def cosine(progress: float, floor: float = 0.01) -> float:
    """Share of the rate: half a cosine from 1 at progress 0 to `floor` at progress 1 (Loshchilov and Hutter, "SGDR",
    2017, eq. 5)."""
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))


def linear(progress: float, floor: float = 0.0, share: float = 1.0) -> float:
    """Share of the rate: 1, then a line over the last `share` of the budget down to `floor` at progress 1."""
    return min(1.0, floor + (1.0 - floor) * (1.0 - progress) / share)


def exponential(progress: float, floor: float) -> float:
    """Share of the rate: falls by the same factor in equal times, from 1 at progress 0 to `floor` at progress 1."""
    return floor**progress


def adam_flags(device: str) -> dict[str, Any]:
    """How torch's Adam runs on a device: on a CUDA card by one launch for all parameters, and nothing of it is counted
    on the host, so that its step could be captured in a graph."""
    cuda = torch.device(device).type == "cuda"
    return {"fused": cuda or None, "capturable": cuda}


class Loads(Protocol):
    """An optimizer that goes on from a state."""

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """What torch's Adam gave."""


def load_adam(optimizer: Loads, state: Mapping[str, Any], device: str) -> None:
    """An Adam's state, from whichever kind of device it comes: that one's flags are not this one's."""
    groups = [{**group, **adam_flags(device)} for group in state["param_groups"]]
    optimizer.load_state_dict({**state, "param_groups": groups})


def step(
    optimizer: torch.optim.Optimizer,
    loss: Tensor,
    lr: float,
    parameters: Iterable[nn.Parameter] = (),
    max_norm: float | None = None,
) -> None:
    """Gradient of the loss, clipping, one step of the optimizer.

    Args:
        lr: of every parameter group, times the group's own "lr_scale" where it has one.
        parameters: whose gradient is clipped to the norm `max_norm`; None: no clipping.
    """
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    if max_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    optimizer.step()
