"""The files that the networks are read from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lipbench.baselines.pcavs.spec import FILES
from lipbench.core import weights
from lipbench.core.errors import WeightsMissing


def checkpoint_file(params: Any, name: str) -> Path:
    """The file of one network.

    Raises:
        WeightsMissing, WeightsMismatch: it is not there, or not the one that was added.
    """
    if params.checkpoints is None:
        return weights.path(name)
    path = Path(params.checkpoints) / FILES[name]
    if not path.is_file():
        raise WeightsMissing(f"there is no file {path}", "`checkpoints` names its folder", "correct the path")
    return path
