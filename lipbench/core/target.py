"""Where a command is to write, looked at before it starts to work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lipbench.core.errors import UsageError


def check_target(out: Path, inputs: Iterable[Path] = ()) -> None:
    """Refuse a file that cannot be written, or that is one of a command's inputs under whatever name.

    The folder is made when it is missing.

    Raises:
        UsageError: it is a folder or no plain file, it is one of the inputs (links included), or it cannot be written.
    """
    if out.is_dir():
        raise UsageError(f"cannot write {out}", "it is a folder", f"name a file in it, such as {out / 'out.mp4'}")
    if out.exists() and not out.is_file():
        raise UsageError(f"cannot write {out}", "it is no plain file", "name another file")
    for path in inputs:
        if _same(out, path):
            raise UsageError(f"cannot write {out}", f"it is the input {path}, which would be lost", "name another file")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        why = f"its folder cannot be written: {error.strerror or error}"
        raise UsageError(f"cannot write {out}", why, "name a file in a folder of yours") from error


def _same(a: Path, b: Path) -> bool:
    try:
        return os.path.samefile(a, b)
    except OSError:
        return a.absolute() == b.absolute()
