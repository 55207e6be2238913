"""What a package's `__init__.pyi` names is public: the reference shows it as if it stood in `__all__`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import griffe

from lipbench.core.code.scan import stub_homes


class Stubs(griffe.Extension):
    """Fills the exports of packages whose names load on first use; the pages of the Python reference go by them."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """Called with everything of a package loaded."""
        waiting = [pkg]
        while waiting:
            module = waiting.pop()
            waiting += [m for m in module.members.values() if isinstance(m, griffe.Module)]
            stub = Path(str(module.filepath)).with_suffix(".pyi")
            if module.is_init_module and stub.is_file():
                homes = stub_homes(stub.read_text(encoding="utf-8"), module.path)
                # Modules have pages of their own, or none.
                module.exports = [name for name in homes if not isinstance(module.members.get(name), griffe.Module)]
