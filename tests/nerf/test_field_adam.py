"""The fields' Adam on a CPU against torch's."""

from __future__ import annotations

import subprocess
import sys

import torch

from lipbench.core import optim
from lipbench.nerf.training.adam import CpuAdam, make_adam


def parameters() -> list[torch.nn.Parameter]:
    """Two, one of which has its last axis in another place of memory."""
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(5, 3)), torch.nn.Parameter(torch.randn(4, 2, 6).permute(2, 0, 1))]


def push(some: list[torch.nn.Parameter], k: int) -> None:
    """Gradients, the second one's from step 2 on."""
    sum((p - k).pow(4).sum() for p in some[: 1 + (k > 1)]).backward()


def test_moves_as_torch_does_and_goes_on_from_its_checkpoint():
    ours, theirs = parameters(), parameters()
    adam = CpuAdam([{"params": [ours[0]], "lr_scale": 2.0}], 0.1)
    adam.add_param_group({"params": [ours[1]], "lr": 0.02})
    plain = torch.optim.Adam([{"params": [theirs[0]], "lr_scale": 2.0}, {"params": [theirs[1]], "lr": 0.02}], lr=0.1)
    start = ours[1].detach().clone()
    for k in range(6):
        if k == 4:  # each goes on from what the other has left
            left, right = adam.state_dict(), plain.state_dict()
            adam = CpuAdam([{"params": [p]} for p in ours], 9.0)
            plain = torch.optim.Adam([{"params": [p]} for p in theirs])
            optim.load_adam(adam, right, "cpu")
            optim.load_adam(plain, left, "cpu")
            assert [g["lr"] for g in adam.param_groups] == [0.1, 0.02]
            assert adam.param_groups[0]["lr_scale"] == 2.0
        for optimizer, some in ((adam, ours), (plain, theirs)):
            optimizer.zero_grad()
            push(some, k)
            optimizer.step()
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours[1], start)


def test_gradients_in_another_order_of_memory():
    value = torch.nn.Parameter(torch.zeros(3, 2))
    value.grad = torch.arange(6.0).view(2, 3).t()
    adam = CpuAdam([{"params": [value]}], 0.5)
    adam.step()
    expected = torch.where(value.grad > 0, -0.5, 0.0)
    torch.testing.assert_close(value.detach(), expected)


def test_only_a_cpu_has_it():
    some = torch.nn.Parameter(torch.zeros(2, device="meta"))
    assert isinstance(make_adam([{"params": [some]}], 0.1, "meta"), torch.optim.Adam)


def test_does_not_import_the_compiler():
    said = (
        "import sys, torch; from lipbench.nerf.training.adam import make_adam; x = torch.nn.Parameter(torch.ones(2));"
    )
    said += "a = make_adam([{'params': [x]}], .1, 'cpu'); a.zero_grad(); x.sum().backward(); a.step();"
    said += "print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
