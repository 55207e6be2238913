"""Shared by all tests: one thread, markers that skip, golden inputs, the real clips."""

from __future__ import annotations

import os
from pathlib import Path

# Before numpy and torch load: the machines are shared, and oversubscribed threads spin.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("real") and not os.environ.get("LIPBENCH_REAL_CLIPS"):
            item.add_marker(pytest.mark.skip(reason="LIPBENCH_REAL_CLIPS is not set"))


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """Folder with katie.mp4, office.mp4, dub_fr.wav, dub_de.wav."""
    return Path(os.environ["LIPBENCH_REAL_CLIPS"])


@pytest.fixture(scope="session")
def golden() -> Path:
    """Folder of the golden vectors."""
    return Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="session")
def _one_torch_thread() -> None:
    import torch

    torch.set_num_threads(1)
