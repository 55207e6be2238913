"""Seeds without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from lipbench.core import seeding


def test_draws_as_torch_does():
    for number in (0, 7, 2**32 - 1):
        torch.manual_seed(number)
        theirs = torch.rand(5), torch.randint(1000, (5,))
        seeding.seed_torch(number)
        assert torch.equal(torch.rand(5), theirs[0])
        assert torch.equal(torch.randint(1000, (5,)), theirs[1])


def test_leaves_an_accelerator_to_torch(monkeypatch):
    seeded = []
    monkeypatch.setattr(seeding, "_has_accelerator", lambda: True)
    monkeypatch.setattr(torch, "manual_seed", seeded.append)
    seeding.seed_torch(3)
    assert seeded == [3]


@pytest.mark.parametrize("kind", [None, torch.cuda, torch.xpu, torch.backends.mps])
def test_sees_accelerators_by_what_every_torch_has(kind, monkeypatch):
    for each in (torch.cuda, torch.xpu, torch.backends.mps):
        monkeypatch.setattr(each, "is_available", lambda each=each: each is kind)
    monkeypatch.delattr(torch.mps, "is_available", raising=False)  # as in torch 2.4
    assert seeding._has_accelerator.__wrapped__() is (kind is not None)


def test_does_not_import_the_compiler():
    said = "import sys, torch; from lipbench.core.seeding import seed_torch; seed_torch(1);"
    said += "print(torch.cuda.is_available() or 'torch._dynamo' not in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
