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

    others = (getattr(torch, name, None) for name in ("xpu", "mps"))
    return torch.cuda.is_available() or any(other is not None and other.is_available() for other in others)
