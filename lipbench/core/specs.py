"""Finds the `spec` modules: the data that stands beside the code of methods, metrics, data sets and trainers.

A `spec.py` is data alone: it imports neither torch nor the code that it describes. Any of these names may stand in it:

    METHODS           tuple of MethodSpec, each with its `implementation`
    METHOD_FACTORIES  id -> "module:attribute", for methods whose spec is read from another file
    METRICS           id of a metric family -> "module:attribute"
    DATASETS          name -> "module:attribute"
    TRAINERS          what `lipbench train` can train -> "module:function"
    WEIGHTS           tuple of WeightsEntry

Built-in ones are found by their place below the package. Another package names its own:

    [project.entry-points."lipbench.specs"]
    my-package = "my_package.spec"
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from lipbench.core.errors import UsageError

NAME = "spec"
#: Folders on the top floors: they use what the specs name and offer nothing themselves.
SKIPPED = frozenset({"lipbench.cli", "lipbench.engine", "lipbench.synthetic", "lipbench.training"})
#: What a spec module may define; it has one of them at least.
KNOWN = frozenset({"METHODS", "METHOD_FACTORIES", "METRICS", "DATASETS", "TRAINERS", "WEIGHTS"})


@cache
def modules() -> tuple[tuple[str, ModuleType], ...]:
    """(where it comes from, module) of every spec module: the built-in ones by path, then those of other packages.

    Raises:
        UsageError: one of them cannot be imported.
    """
    root = importlib.import_module("lipbench")
    found = [
        ("lipbench itself", _imported(name, "lipbench itself")) for name in sorted(_below(root.__path__, "lipbench"))
    ]
    for point in sorted(entry_points(group="lipbench.specs"), key=lambda point: point.value):
        package = point.dist.name if point.dist else point.value
        found.append((package, _imported(point.value, package)))
    return tuple(found)


def tables(name: str) -> Iterator[tuple[str, Any]]:
    """(where it comes from, value) of a name in every spec module that defines it."""
    for origin, module in modules():
        if hasattr(module, name):
            yield origin, getattr(module, name)


def _below(folders: Iterable[str], package: str) -> Iterator[str]:
    """Names of the spec modules below a package; imports nothing."""
    for folder in folders:
        for _, name, is_package in pkgutil.iter_modules([folder]):
            if is_package and f"{package}.{name}" not in SKIPPED:
                yield from _below([str(Path(folder) / name)], f"{package}.{name}")
            elif name == NAME:
                yield f"{package}.{name}"


def _imported(name: str, origin: str) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise UsageError(
            f"cannot read the spec module {name} of {origin}",
            f"{type(error).__name__}: {error}",
            "reinstall the package that provides it, or uninstall it",
        ) from error
    if not KNOWN & set(vars(module)):
        raise UsageError(
            f"the spec module {name} of {origin} offers nothing",
            f"it defines none of {', '.join(sorted(KNOWN))}",
            "see `A method` in CONTRIBUTING.md",
        )
    return module
