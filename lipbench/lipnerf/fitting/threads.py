"""Small tensors on shared machines: torch's threads cost more than they give (56 ms instead of 0.7 ms per product was
measured on an oversubscribed machine)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_torch_thread(device: str) -> Iterator[None]:
    """Run the block on one CPU thread, and without gradients; leaves the setting as it was."""
    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)
