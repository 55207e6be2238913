"""Adam for the network and the codes: torch's own imports torch's compiler, half of what a short training sets up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPS = 1e-12


class Adam:
    """`torch.optim.Adam`'s rule (Kingma and Ba 2015, algorithm 1), to the last bit on a CPU.

    Args:
        groups: tensors, and the rate at which they learn.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[Tensor], float]]) -> None:
        self.rows = [(tensor, rate) for tensors, rate in groups for tensor in tensors]
        self.first = [torch.zeros_like(tensor) for tensor, _ in self.rows]
        self.second = [torch.zeros_like(tensor) for tensor, _ in self.rows]
        self.steps = 0

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor, _ in self.rows:
            tensor.grad = None

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Move by the gradients, at `factor` times the rates."""
        self.steps += 1
        start = 1 - BETAS[0] ** self.steps
        scale = (1 - BETAS[1] ** self.steps) ** 0.5
        for (tensor, rate), first, second in zip(self.rows, self.first, self.second, strict=True):
            grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            first.lerp_(grad, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
            tensor.addcdiv_(first, (second.sqrt() / scale).add_(EPS), value=-rate * factor / start)

    def state_dict(self) -> dict[str, Any]:
        """Moments and the number of steps."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.steps = state["steps"]
        for held, ours in ((state["first"], self.first), (state["second"], self.second)):
            for value, tensor in zip(held, ours, strict=True):
                tensor.copy_(value)
