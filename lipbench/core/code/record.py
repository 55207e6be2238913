"""What a run directory keeps of the code behind its keys: RUN/code/<digest>.json, module -> its own hash.

Keys hold a closure's digest alone; these files say which module it was that changed. They can be deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lipbench.core.atomic import write_json
from lipbench.core.code.closure import Code


def write_codes(root: Path, codes: Iterable[Code]) -> None:
    """Write the closures of a plan; those that are there already stay.

    Raises:
        DiskFull: no space left.
    """
    for code in codes:
        path = _path(root, code.digest)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            write_json(path, dict(code.modules))


def read_code(root: Path, digest: str) -> dict[str, str] | None:
    """The modules of a closure with their hashes; None when the run directory does not hold it."""
    try:
        return dict(json.loads(_path(root, digest).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _path(root: Path, digest: str) -> Path:
    return root / "code" / f"{digest[:16]}.json"
