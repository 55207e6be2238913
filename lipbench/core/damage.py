"""What is wrong with results that are kept: noted once each, and told in a few remarks."""

from __future__ import annotations

import warnings
from pathlib import Path

from lipbench.core.errors import Remark

#: Damaged results that are told one by one; of more there is a single word.
TOLD = 5


class Damage(dict[str, str]):
    """Key -> what is wrong.

    Args:
        root: the run directory, for the remarks.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root, self._told = root, 0

    def note(self, key: str, why: str) -> None:
        """Remember what is wrong with a result, and tell it the first time."""
        if key in self:
            return
        self[key] = why
        self._told += 1
        if self._told <= TOLD:
            text = f"the result {key[:12]} is damaged ({why}); a run sets it aside and runs its stage again"
            warnings.warn(f"{self._root}: {text}", Remark, stacklevel=3)
        elif self._told == TOLD + 1:
            warnings.warn(f"{self._root}: and more; `lipbench run --verify` counts them", Remark, stacklevel=3)
