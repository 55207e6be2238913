"""The relief's Adam moves as torch's does, and without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import torch

from lipbench.nerf.relief.adam import EPS, Adam


def test_moves_as_torch_does():
    torch.manual_seed(0)
    start = [torch.randn(5, 3), torch.randn(7)]
    ours, theirs = ([torch.nn.Parameter(x.clone()) for x in start] for _ in range(2))
    adam = Adam([([ours[0]], 0.1), ([ours[1]], 0.02)])
    plain = torch.optim.Adam([{"params": [p], "lr": lr} for p, lr in zip(theirs, (0.1, 0.02), strict=True)], eps=EPS)
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


def test_goes_on_where_it_was():
    value = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
    first = Adam([([value], 0.1)])
    value.grad = torch.tensor([0.5, 3.0])
    first.step(1.0)
    held = torch.nn.Parameter(value.detach().clone())
    second = Adam([([held], 0.1)])
    second.load_state_dict(first.state_dict())
    for adam, tensor in ((first, value), (second, held)):
        tensor.grad = torch.tensor([-1.0, 1.0])
        adam.step(0.5)
    assert torch.equal(value, held)


def test_does_not_import_the_compiler():
    said = "import sys, torch; from lipbench.nerf.relief.adam import Adam; x = torch.nn.Parameter(torch.ones(2));"
    said += "a = Adam([([x], .1)]); x.sum().backward(); a.step(1.0); print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
