"""What all trainings share: rate, clipping, checkpoints, facts, and what they refuse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from lipbench.core import registry
from lipbench.core.errors import UnknownName, UsageError
from lipbench.core.training import Budget, Request, train
from lipbench.training.base import SupervisedTraining, configuration, generated_only


@dataclass(frozen=True)
class Settings:
    rate: float = 0.5
    warm_up: int = 4


class Slope(SupervisedTraining[Settings]):
    """Learns y = 3 x from noisy samples; its gradient is far longer than 1."""

    name, max_norm = "slope", 1.0

    def __init__(self, seed: int = 0) -> None:
        super().__init__(Settings(), seed, "cpu", {"data": "none"})
        self.net = torch.nn.Linear(1, 1, bias=False)
        self.optimizer = torch.optim.SGD(self.net.parameters(), 9.0, momentum=0.5)

    def objective(self, number: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        x = torch.from_numpy(self.rng(number).normal(5.0, 1.0, (8, 1))).float()
        loss = (self.net(x) - 3 * x).square().mean()
        return loss, {"loss": loss}

    def validate(self) -> dict[str, float]:
        return {"held_out_loss": abs(float(self.net.weight.detach()) - 3.0)}

    def export(self, folder: Path, facts: Any) -> Path:
        torch.save(self.net.weight.detach(), folder / "slope.pt")
        return folder / "slope.pt"


def test_a_step_moves_by_rate_times_warm_up_times_cosine() -> None:
    training = Slope()
    assert training.lr(0, 0.0) == 0.125
    assert training.lr(9, 0.0) == 0.5
    assert training.lr(9, 1.0) == pytest.approx(0.005)
    before = float(training.net.weight.detach())
    figures = training.step(0, 0.0)
    assert float(training.net.weight.detach()) - before == pytest.approx(0.125, abs=1e-6)  # the gradient is cut to 1
    assert figures["loss"] > 1.0


def test_a_run_in_two_parts_ends_as_one_in_a_piece(tmp_path: Path) -> None:
    budget = Budget(steps=12, validate_every=5, image_every=2)
    train(Slope(), tmp_path / "whole", budget)
    first = Slope()
    step = first.step

    def cut(number: int, progress: float) -> dict[str, float]:
        if number == 7:
            raise KeyboardInterrupt
        return step(number, progress)

    first.step = cut  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        train(first, tmp_path / "parts", budget)
    train(Slope(), tmp_path / "parts", budget)
    whole, parts = (torch.load(tmp_path / name / "slope.pt", weights_only=True) for name in ("whole", "parts"))
    assert torch.equal(whole, parts)


def test_facts_tell_what_is_needed_to_repeat_it() -> None:
    assert Slope().facts == {"name": "slope", "version": 2, "config": {"rate": 0.5, "warm_up": 4}, "data": "none"}


@pytest.mark.parametrize("name", registry.names("trainers"))
def test_every_trainer_refuses_a_configuration_that_it_has_not(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="demo"):
        registry.load("trainers", name)(Request(tmp_path, config="demmo"))
    assert not list(tmp_path.iterdir())


def test_configurations_and_manifests_are_refused_with_a_way_out(tmp_path: Path) -> None:
    assert configuration(Request(tmp_path, config="b"), {"a": 1, "b": 2}) == 2
    with pytest.raises(UnknownName, match="configuration"):
        configuration(Request(tmp_path, config="c"), {"a": 1, "b": 2})
    generated_only(Request(tmp_path), "x", "why")
    with pytest.raises(UsageError, match="x cannot be trained on a manifest"):
        generated_only(Request(tmp_path, data="mine.yaml"), "x", "why")
