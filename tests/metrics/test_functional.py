"""The pure functions: their examples run, their docstrings are complete, and the families use them."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest

from lipbench import metrics
from lipbench.core.errors import Unsupported
from lipbench.metrics import functional, temporal_difference, temporal_difference_per_frame

MODULES = [f"{functional.__name__}.{m.name}" for m in pkgutil.iter_modules(functional.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, installed):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0, "no example"
    assert found.failed == 0


#: What `lipbench.metrics` offers beside its modules.
FUNCTIONS = [name for name in metrics.__all__ if not inspect.ismodule(getattr(metrics, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_goes_in_and_what_comes_out(name):
    text = inspect.getdoc(getattr(metrics, name))
    sections = ["Args:", "Returns:"] + ([] if name.endswith("_per_frame") else ["Source:", "Examples:"])
    for section in sections:
        assert f"\n{section}\n" in text, section
    for parameter in inspect.signature(getattr(metrics, name)).parameters:
        assert f"    {parameter}: " in text, parameter


def test_temporal_difference_is_the_written_formula():
    rng = np.random.default_rng(0)
    p, g = (rng.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8) for _ in range(2))
    a, b = p.astype(float), g.astype(float)
    want = [np.abs((a[t + 1] - a[t]) - (b[t + 1] - b[t])).mean() for t in range(4)]
    assert temporal_difference_per_frame(p, g) == pytest.approx(want, abs=1e-12)
    assert temporal_difference(p, g) == pytest.approx(np.mean(want), abs=1e-12)
    with pytest.raises(Unsupported, match="no change"):
        temporal_difference(p[:1], g[:1])
