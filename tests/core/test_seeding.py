"""Seeds without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

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


def test_does_not_import_the_compiler():
    said = "import sys, torch; from lipbench.core.seeding import seed_torch; seed_torch(1);"
    said += "print(torch.cuda.is_available() or 'torch._dynamo' not in sys.modules)"
    done = subprocess.run([sys.executable, "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
