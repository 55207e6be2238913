"""TF32 in the fields on a card, float32 everywhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.core import devices, optim, precision
from lipbench.nerf.training import running, trained


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    kept = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = kept


def test_a_chosen_card_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.backends.cudnn.allow_tf32 = True  # torch's default
    torch.backends.cuda.matmul.allow_tf32 = True
    assert devices.choose_device("cpu", "cpu") == "cpu"
    assert torch.backends.cudnn.allow_tf32
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert devices.choose_device("cuda:0", "auto") == "cuda:0"
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize(("device", "products"), [("cpu", "float32"), ("cuda:1", "tf32"), ("mps", "float32")])
def test_fields_use_tensor_cores_on_a_card_alone(device: str, products: str) -> None:
    precision.full_precision()
    assert precision.field_products(device) == products
    with precision.tensor_cores(torch.device(device)):
        assert torch.backends.cuda.matmul.allow_tf32 == (products == "tf32")
    assert not torch.backends.cuda.matmul.allow_tf32


def test_training_and_rendering_of_fields_ask_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    class Stopped:
        stopped = "budget"

    def train(*_: object, **__: object) -> type[Stopped]:
        seen.append(torch.backends.cuda.matmul.allow_tf32)
        return Stopped

    precision.full_precision()
    monkeypatch.setattr(running, "run", train)
    for device in ("cpu", "cuda:0"):
        training: Any = SimpleNamespace(preset=SimpleNamespace(steps=3), seed=0, device=device)
        running.run_training(training, "folder")
    assert seen == [False, True]
    within: list[str] = []
    monkeypatch.setattr(trained, "render_one", lambda *_: within.append("rendered"))

    @contextmanager
    def entered(device: object) -> Iterator[None]:
        within.append(f"on {device}")
        yield
        within.append("left")

    monkeypatch.setattr(trained, "tensor_cores", entered)
    config = SimpleNamespace(condition=2, latent=1)
    model: Any = SimpleNamespace(
        field=SimpleNamespace(config=config), latents=torch.zeros(1), removed_direction=None, scale=1.0
    )
    list(trained.render_frames(model, range(1), np.zeros((1, 2)), np.zeros((1, 1)), [0]))  # type: ignore[arg-type]
    assert within == ["on cpu", "rendered", "left"]


def test_an_adam_goes_on_whose_checkpoint_was_left_on_a_card() -> None:
    net = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(net.parameters(), **optim.adam_flags("cpu"))
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = optimizer.state_dict()
    cuda = optim.adam_flags("cuda:0")
    assert cuda == {"fused": True, "capturable": True}
    from_a_card = {**state, "param_groups": [{**group, **cuda} for group in state["param_groups"]]}
    again = torch.optim.Adam(net.parameters(), **optim.adam_flags("cpu"))
    optim.load_adam(again, from_a_card, "cpu")
    again.step()
    optimizer.step()
    assert again.param_groups[0]["capturable"] is False
    assert torch.equal(again.state[net.weight]["exp_avg"], optimizer.state[net.weight]["exp_avg"])
