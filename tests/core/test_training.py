"""The training harness: exact resume, early stop, refusal of another run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lipbench.core.errors import UsageError
from lipbench.core.training import BEST, CHECKPOINT, LOG, RUN, SAMPLES, Budget, train


class Line:
    """Fits y = 3 x by SGD with momentum and dropout noise from torch's generator."""

    monitor = "held_out"

    def __init__(self, name: str = "line", worse: bool = False) -> None:
        self.net = torch.nn.Linear(4, 1)
        with torch.no_grad():
            self.net.weight.fill_(0.1)
            self.net.bias.zero_()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), 0.05)
        self.facts = {"name": name}
        self.worse, self.validations = worse, 0

    def step(self, number, progress):
        x = torch.from_numpy(np.random.default_rng([0, number]).normal(size=(8, 4))).float()
        x = torch.nn.functional.dropout(x, 0.3)
        loss = (self.net(x) - 3 * x.sum(1, keepdim=True)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": float(loss.detach())}

    def validate(self):
        self.validations += 1
        x = torch.eye(4)
        found = float((self.net(x) - 3 * x.sum(1, keepdim=True)).square().mean().detach())
        return {"held_out": found if not self.worse else float(self.validations)}

    def image(self):
        return np.full((4, 4, 3), 7, np.uint8)

    def state_dict(self):
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state):
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])

    def export(self, folder, facts):
        (folder / "net.json").write_text(json.dumps(facts))
        return folder / "net.json"


class Killed(Line):
    def step(self, number, progress):
        if number == 7:
            raise KeyboardInterrupt
        return super().step(number, progress)


def budget(steps, **more):
    return Budget(steps, validate_every=5, report_every=1, image_every=5, **more)


def test_a_killed_run_ends_with_the_weights_of_one_that_was_not(tmp_path):
    whole = Line()
    train(whole, tmp_path / "whole", budget(10))
    with pytest.raises(KeyboardInterrupt):
        train(Killed(), tmp_path / "cut", budget(10))
    resumed = Line()
    end = train(resumed, tmp_path / "cut", budget(10))
    assert end.step == 10
    assert torch.equal(whole.net.weight, resumed.net.weight)
    assert torch.equal(whole.net.bias, resumed.net.bias)
    logs = [[json.loads(x) for x in (tmp_path / n / LOG).read_text().splitlines()] for n in ("whole", "cut")]
    timeless = [[{k: v for k, v in row.items() if k != "seconds"} for row in log] for log in logs]
    assert timeless[0] == timeless[1]


def test_the_folder_tells_what_was_done(tmp_path):
    train(Line(), tmp_path, budget(5), seed=4)
    facts = json.loads((tmp_path / RUN).read_text())
    assert facts["seed"] == 4
    assert facts["training"] == {"name": "line"}
    assert "torch" in facts["provenance"]["packages"]
    assert (tmp_path / CHECKPOINT).exists()
    assert (tmp_path / BEST).exists()
    assert [p.name for p in (tmp_path / SAMPLES).iterdir()] == ["0000005.png"]
    assert json.loads((tmp_path / "net.json").read_text())["steps"] == 5


def test_another_training_in_the_folder_is_refused(tmp_path):
    train(Line(), tmp_path, budget(5))
    with pytest.raises(UsageError, match="another training"):
        train(Line("other"), tmp_path, budget(5))
    assert train(Line("other"), tmp_path, budget(5), fresh=True).step == 5


def test_it_stops_when_the_held_out_value_rises(tmp_path):
    end = train(Line(worse=True), tmp_path, budget(100, patience=2))
    assert (end.step, end.best_step, end.stopped) == (15, 5, "early stop")


def test_a_training_needs_an_end(tmp_path):
    with pytest.raises(UsageError, match="no end"):
        train(Line(), tmp_path, Budget())


def test_a_long_training_leaves_checkpoints_by_time(tmp_path):
    seen = []

    class Watched(Line):
        def state_dict(self):
            seen.append(1)
            return super().state_dict()

    train(Watched(), tmp_path / "a", Budget(4, validate_every=100, image_every=0, checkpoint_s=0.0), seed=1)
    assert len(seen) == 5  # after each step, and at the end
    seen.clear()
    train(Watched(), tmp_path / "b", Budget(4, validate_every=100, image_every=0), seed=1)
    assert len(seen) == 1
