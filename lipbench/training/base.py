"""What the supervised trainings share: one network, one optimizer, a loss per step, one schedule, resume and facts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.core import optim
from lipbench.core.errors import UnknownName, UsageError
from lipbench.core.training import Request

Config = TypeVar("Config")

#: Bump when the same configuration would be trained otherwise: a run that was begun before is not gone on with.
VERSION = 2


class SupervisedTraining(ABC, Generic[Config]):
    """A `lipbench.core.training.Trainable`.

    A subclass sets `net` and `optimizer` after calling this constructor, which seeds torch, and says what is learned
    (`objective`), how it is checked (`validate`) and what is left in the end (`export`).

    Args:
        config: a dataclass; it has `rate` and `warm_up` where `lr` is not overridden.
        data: facts that tell the data, beside the name and the configuration.

    Attributes:
        name: of the training, as in `lipbench train NAME`.
        monitor: key of `validate`'s answer that early stopping watches.
        max_norm: that gradients are clipped to; None: they are not.
    """

    name: ClassVar[str]
    monitor = "held_out_loss"
    max_norm: float | None = 5.0
    net: nn.Module
    optimizer: torch.optim.Optimizer

    def __init__(self, config: Config, seed: int, device: str, data: Mapping[str, Any]) -> None:
        torch.manual_seed(seed)
        self.config, self.seed, self.device = config, seed, torch.device(device)
        self.facts: Mapping[str, Any] = {"name": self.name, "version": VERSION, "config": asdict(config), **data}  # type: ignore[call-overload]

    @abstractmethod
    def objective(self, number: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """The loss of batch `number`, and the figures to report."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Figures on held-out data; draws the same every time."""

    @abstractmethod
    def export(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """Write the finished weights into the folder."""

    def lr(self, number: int, progress: float) -> float:
        """Learning rate at step `number`, `progress` 0..1 of the budget: linear warm-up times a cosine."""
        c: Any = self.config
        return float(c.rate * optim.warmup(number, c.warm_up) * optim.cosine(progress))

    def step(self, number: int, progress: float) -> dict[str, float]:
        """One step of the optimizer on batch `number`; returns its figures."""
        self.net.train()
        loss, figures = self.objective(number)
        optim.step(self.optimizer, loss, self.lr(number, progress), self.net.parameters(), self.max_norm)
        return {name: float(torch.as_tensor(value).detach()) for name, value in figures.items()}

    def rng(self, number: int) -> np.random.Generator:
        """What batch `number` is drawn with."""
        return np.random.default_rng([self.seed, number])

    def image(self) -> NDArray[np.uint8] | None:
        """(H, W, 3) RGB samples to look at; None without."""
        return None

    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds: name -> something with `state_dict` and `load_state_dict`."""
        return {"net": self.net, "optimizer": self.optimizer}

    def state_dict(self) -> dict[str, Any]:
        """The states of the parts."""
        return {name: part.state_dict() for name, part in self.parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        for name, part in self.parts().items():
            part.load_state_dict(state[name])


def configuration(request: Request, known: Mapping[str, Config]) -> Config:
    """The configuration that a request names.

    Raises:
        UnknownName: it is not among the known ones.
    """
    if request.config not in known:
        raise UnknownName(
            f"there is no configuration {request.config!r}", f"known: {', '.join(known)}", "choose one of them"
        )
    return known[request.config]


def generated_only(request: Request, name: str, why: str) -> None:
    """Refuse a manifest for a training that only generated data can serve.

    Raises:
        UsageError: the request names data.
    """
    if request.data is not None:
        raise UsageError(f"{name} cannot be trained on a manifest", why, "leave out --data")
