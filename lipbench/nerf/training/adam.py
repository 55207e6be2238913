"""Adam for fields, without torch's compiler, which torch's own imports: half of what a short training sets up.

Two, for a trained field holds every rounding of its steps. `CpuAdam` is for millions of parameters: a loop that passes
once over each, torch's checkpoints, and on a card torch's own. `PlainAdam` is for the small network and the codes of a
relief: torch's operations one by one, on any device, and so torch's bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipbench.core import optim
from lipbench.faces.raster.kernel import kernel

BETAS, EPS = (0.9, 0.999), 1e-8
PLAIN_EPS = 1e-12  # of `PlainAdam`, as reliefs are trained
ONE = np.float32(1)


def make_adam(groups: Sequence[Mapping[str, Any]], lr: float, device: str) -> torch.optim.Adam | CpuAdam:
    """Adam with torch's defaults for a device; see `CpuAdam` for the arguments."""
    if torch.device(device).type == "cpu":
        return CpuAdam(groups, lr)
    return torch.optim.Adam([dict(group) for group in groups], lr=lr, **optim.adam_flags(device))


@kernel
def move(values, gradient, first, second, step, root, beta1, beta2, eps):  # type: ignore[no-untyped-def]
    """One step of Adam (Kingma and Ba 2015, algorithm 1) for (N,) values; `step` and `root` correct the moments."""
    for i in range(np.uint64(values.shape[0])):
        g = gradient[i]
        a = beta1 * first[i] + (ONE - beta1) * g
        b = beta2 * second[i] + (ONE - beta2) * g * g
        first[i], second[i] = a, b
        values[i] -= step * a / (np.sqrt(b) * root + eps)


class CpuAdam:
    """`torch.optim.Adam`'s rule and checkpoints, for single precision on a CPU.

    Args:
        groups: "params", and what else belongs to them.
        lr: of groups that name none.

    Attributes:
        param_groups: as torch's; "lr" of each counts in the next step.
        state: parameter -> "step", "exp_avg", "exp_avg_sq".
    """

    def __init__(self, groups: Sequence[Mapping[str, Any]], lr: float) -> None:
        self.lr = lr
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Learn more parameters."""
        known = {"lr": self.lr, "betas": BETAS, "eps": EPS, "weight_decay": 0.0, **optim.adam_flags("cpu")}
        self.param_groups.append({**known, **group, "params": list(group["params"])})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients."""
        for parameter in self._parameters():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move parameters that have a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group["lr"])

    def _move(self, parameter: Tensor, lr: float) -> None:
        held = self.state.setdefault(parameter, {})
        if not held:
            held["step"] = torch.zeros(())
            held["exp_avg"], held["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        held["step"] += 1
        count, gradient = float(held["step"]), parameter.grad
        assert gradient is not None
        if gradient.stride() != parameter.stride():
            gradient = torch.empty_like(parameter).copy_(gradient)
        step = lr / (1 - BETAS[0] ** count)
        root = 1 / math.sqrt(1 - BETAS[1] ** count)
        arrays = (_in_memory(x) for x in (parameter, gradient, held["exp_avg"], held["exp_avg_sq"]))
        move(*arrays, *(np.float32(x) for x in (step, root, *BETAS, EPS)))

    def _parameters(self) -> Iterator[Tensor]:
        return (parameter for group in self.param_groups for parameter in group["params"])

    def state_dict(self) -> dict[str, Any]:
        """Moments and groups as `torch.optim.Adam` writes them."""
        number = {parameter: k for k, parameter in enumerate(self._parameters())}
        groups = [{**group, "params": [number[p] for p in group["params"]]} for group in self.param_groups]
        return {"state": {number[p]: held for p, held in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """What `state_dict` gave, or torch's."""
        for ours, theirs in zip(self.param_groups, state["param_groups"], strict=True):
            ours.update({name: value for name, value in theirs.items() if name != "params"})
        self.state = {}
        for k, parameter in enumerate(self._parameters()):
            if k in state["state"]:
                held = state["state"][k]
                self.state[parameter] = {"step": held["step"].detach().cpu().float().clone()} | {
                    name: torch.empty_like(parameter).copy_(held[name]).detach() for name in ("exp_avg", "exp_avg_sq")
                }


def _in_memory(tensor: Tensor) -> np.ndarray:
    """(...) numbers without gaps -> (N,) as they lie in memory."""
    flat: np.ndarray = tensor.detach().as_strided((tensor.numel(),), (1,), tensor.storage_offset()).numpy()
    return flat


class PlainAdam:
    """The same rule, to the last bit as `torch.optim.Adam` on a CPU; a missing gradient is 0.

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
            tensor.addcdiv_(first, (second.sqrt() / scale).add_(PLAIN_EPS), value=-rate * factor / start)

    def state_dict(self) -> dict[str, Any]:
        """Moments and the number of steps."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.steps = state["steps"]
        for held, ours in ((state["first"], self.first), (state["second"], self.second)):
            for value, tensor in zip(held, ours, strict=True):
                tensor.copy_(value)
