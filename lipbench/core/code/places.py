"""Where modules lie, found without importing them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec


@dataclass(frozen=True)
class Place:
    """A module's file (None for a folder without an `__init__`) and, for packages, their folders."""

    file: str | None
    folders: tuple[str, ...] = ()


class Places:
    """Files and folders of modules; each folder is listed once."""

    def __init__(self) -> None:
        self._places: dict[str, Place | None] = {}
        self._listings: dict[str, frozenset[str]] = {}

    def find(self, module: str) -> Place | None:
        """The place of a module, None where there is none of that name."""
        if module not in self._places:
            above, _, name = module.rpartition(".")
            self._places[module] = self._below(above, name) if above else _top(name)
        return self._places[module]

    def _below(self, above: str, name: str) -> Place | None:
        package = self.find(above)
        for folder in () if package is None else package.folders:
            listing = self.listing(folder)
            inner = os.path.join(folder, name)
            if name in listing and "__init__.py" in self.listing(inner):
                return Place(os.path.join(inner, "__init__.py"), (inner,))
            if f"{name}.py" in listing:
                return Place(f"{inner}.py")
            if compiled := next((n for n in listing if n.startswith(f"{name}.") and n.endswith((".so", ".pyd"))), None):
                return Place(os.path.join(folder, compiled))
            if name in listing and any(n.endswith(".py") for n in self.listing(inner)):
                return Place(None, (inner,))
        return None

    def listing(self, folder: str) -> frozenset[str]:
        """Names in a folder; none where there is no such folder."""
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]


def _top(name: str) -> Place | None:
    loaded = sys.modules.get(name)
    if loaded is not None:
        folders = tuple(getattr(loaded, "__path__", ()))
        file = getattr(loaded, "__file__", None)
        return Place(file, folders) if file or folders else None
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None or not (spec.has_location or spec.submodule_search_locations):
        return None
    return Place(spec.origin if spec.has_location else None, tuple(spec.submodule_search_locations or ()))
