"""One line of `lipbench doctor METHOD`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One line. `state`: ok, fail, missing (cannot be tried here) or skip (does not apply)."""

    what: str
    state: str
    detail: str = ""
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
