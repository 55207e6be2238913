"""Files of weights that a method's parameter names, beside the registry."""

from __future__ import annotations

from pathlib import Path

from lipbench.core.errors import WeightsMissing


def existing(file: str | Path, parameter: str) -> Path:
    """A file of weights that a method's parameter names.

    Raises:
        WeightsMissing: it is not there.
    """
    if not Path(file).is_file():
        raise WeightsMissing(f"there is no file {file}", f"the parameter `{parameter}` names it", "correct the path")
    return Path(file)
