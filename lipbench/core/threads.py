"""One thread: numeric libraries otherwise start one per core, and processes that share cores spin."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: What OpenMP, MKL, OpenBLAS, macOS's Accelerate and numba read when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started in this block have one thread in every numeric library: they share the cores by themselves."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def one_torch_thread(device: str) -> Iterator[None]:
    """Run the block on one CPU thread, and without gradients; leaves the setting as it was.

    For small tensors on shared machines torch's threads cost more than they give: 56 ms instead of 0.7 ms per product
    was measured on an oversubscribed machine.
    """
    import torch

    before = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_num_threads(before)
