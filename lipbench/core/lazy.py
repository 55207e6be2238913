"""Packages whose names load on first use, so that importing a folder does not import torch or OpenCV."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, homes: Mapping[str, str] | None = None) -> Callable[[str], Any]:
    """A package's `__getattr__` (PEP 562): its public names, and its modules, are imported when they are asked for.

    Args:
        package: its `__name__`.
        homes: public name -> the package's module that holds it.
    """
    known = homes or {}

    def __getattr__(name: str) -> Any:
        if name in known:
            return getattr(importlib.import_module(f"{package}.{known[name]}"), name)
        # `hasattr(package, "__wrapped__")` and its like never mean a module.
        if not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}") is not None:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
