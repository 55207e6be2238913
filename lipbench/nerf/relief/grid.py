"""A grid of features in the relief, with an optimizer that moves only the texels that rays have met."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lipbench.nerf.relief import dense, kernels

BETAS = (0.9, 0.99)
#: Steps after which Adam's correction of its start ends: a texel is met too rarely to count them one by one.
SETTLED = 400
FLOOR = 1e-10


class FeatureGrid(nn.Module):
    """Values at the corners of a grid; gradients gather beside them, for the texels of a step are few among many.

    Args:
        values: (L, n, m, C) float32.
    """

    values: Tensor

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.register_buffer("values", values)
        self.gradient: Tensor | None = None
        self.touched: Tensor | None = None

    @property
    def channels(self) -> int:
        """C."""
        return self.values.shape[3]

    def collect(self) -> None:
        """Begin to take gradients."""
        self.gradient = torch.zeros_like(self.values)
        self.touched = torch.zeros(self.values.shape[:3], dtype=torch.uint8, device=self.values.device)


class GridAdam:
    """Adam over a grid's touched texels.

    Args:
        grid: on its device.
        rate: of learning.
        noise: one number, (n, m) or (L, n, m), added to the root of the texels' second moment. Gradients far below it
            move a texel the less the smaller they are: where a grid begins with what frames show, noise alone would
            move it by the whole rate.
    """

    def __init__(self, grid: FeatureGrid, rate: float, noise: Tensor | float = 0.0) -> None:
        self.grid, self.rate, self.steps = grid, rate, 0
        texels = grid.values[..., 0].double()
        floor = torch.as_tensor(noise, dtype=torch.float64, device=texels.device) + FLOOR
        self.floor = floor.expand_as(texels).contiguous()
        self.first, self.second = torch.zeros_like(grid.values), torch.zeros_like(grid.values)
        grid.collect()

    def step(self, factor: float) -> None:
        """Move by the gradients gathered since the last step, at `factor` times the rate."""
        self.steps += 1
        count = min(self.steps, SETTLED)
        corrections = 1 / (1 - BETAS[0] ** count), 1 / (1 - BETAS[1] ** count)
        grid = self.grid
        assert grid.gradient is not None
        assert grid.touched is not None
        rate, touched, floor = self.rate * factor, grid.touched.view(-1), self.floor.view(-1)
        values, gradient, first, second = (
            x.view(-1, grid.channels) for x in (grid.values, grid.gradient, self.first, self.second)
        )
        if uses_kernels(values):
            arrays = [x.numpy() for x in (values, gradient, first, second, touched)]
            kernels.adam(*arrays, rate, *BETAS, *corrections, floor.numpy())
        else:
            dense.adam(values, gradient, first, second, touched, rate, BETAS, corrections, floor.to(values.dtype))

    def state_dict(self) -> dict[str, Any]:
        """Moments and the number of steps."""
        return {"first": self.first, "second": self.second, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.steps = state["steps"]
        self.first.copy_(state["first"])
        self.second.copy_(state["second"])


def uses_kernels(tensor: Tensor) -> bool:
    """Whether the loops in numba are for this tensor's device."""
    return tensor.device.type == "cpu"
