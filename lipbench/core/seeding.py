"""Seeds of torch's draws, cheap enough for every step of a training."""

from __future__ import annotations

import functools


def seed_torch(number: int) -> None:
    """Seed what torch draws, as `torch.manual_seed` does.

    Where no accelerator is, that is the CPU's generator alone: torch's own function imports torch's compiler (seconds)
    and, for each accelerator that is not there, notes down the caller's stack (milliseconds in every step).
    """
    import torch

    if _has_accelerator():
        torch.manual_seed(number)
    else:
        torch.default_generator.manual_seed(number)


@functools.cache
def _has_accelerator() -> bool:
    import torch

    # torch 2.4 has no torch.mps.is_available.
    return any(kind.is_available() for kind in (torch.cuda, torch.xpu, torch.backends.mps))
