"""The fields' Adams against torch's."""

from __future__ import annotations

import subprocess
import sys

import torch

from lipbench.core import optim
from lipbench.nerf.training.adam import PLAIN_EPS, CpuAdam, PlainAdam, make_adam


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


def test_the_plain_one_moves_as_torch_does():
    torch.manual_seed(0)
    start = [torch.randn(5, 3), torch.randn(7)]
    ours, theirs = ([torch.nn.Parameter(x.clone()) for x in start] for _ in range(2))
    adam = PlainAdam([([ours[0]], 0.1), ([ours[1]], 0.02)])
    plain = torch.optim.Adam(
        [{"params": [p], "lr": lr} for p, lr in zip(theirs, (0.1, 0.02), strict=True)], eps=PLAIN_EPS
    )
    for k, factor in enumerate((1.0, 0.5, 2.0, 0.25)):
        for group, lr in zip(plain.param_groups, (0.1, 0.02), strict=True):
            group["lr"] = lr * factor
        for parameters in (ours, theirs):
            sum((p - k).pow(4).sum() for p in parameters).backward()
        adam.step(factor)
        plain.step()
        adam.zero_grad()
        plain.zero_grad()
        for mine, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=0)
    assert not torch.equal(ours[0], start[0])


def test_the_plain_one_goes_on_where_it_was():
    value = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    first = PlainAdam([([value], 0.1)])
    value.grad = torch.tensor([0.5, 3.0])
    first.step(1.0)
    held = torch.nn.Parameter(value.detach().clone())
    second = PlainAdam([([held], 0.1)])
    second.load_state_dict(first.state_dict())
    for adam, tensor in ((first, value), (second, held)):
        tensor.grad = torch.tensor([-1.0, 1.0])
        adam.step(0.5)
    assert torch.equal(value, held)


MADE = "make_adam([{'params': [x]}], .1, 'cpu').step()", "PlainAdam([([x], .1)]).step(1.0)"


def test_they_do_not_import_the_compiler():
    said = ["import sys, torch; from lipbench.nerf.training.adam import PlainAdam, make_adam"]
    for made in MADE:
        said += ["x = torch.nn.Parameter(torch.ones(2)); x.sum().backward()", made]
        said += ["print(float(x[0].detach()) < 1, 'torch._dynamo' in sys.modules)"]
    done = subprocess.run([sys.executable, "-c", "\n".join(said)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True False"] * 2
