"""Reading the npz files that lipbench writes: no pickles, one schema number, errors that say what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core.errors import LipbenchError, MediaError


def load(
    path: str | Path,
    schema: int,
    what: str,
    fix: str,
    needs: Iterable[str] = (),
    error: type[LipbenchError] = MediaError,
) -> dict[str, Any]:
    """All arrays of a file but its `schema`.

    Args:
        schema: the only one that is read. what, fix: for the error: "the face track", and what to do next.
        needs: arrays that must be there. error: the class that is raised.

    Raises:
        error: no such file, not an npz, of another schema, or without one of the arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            found = int(z["schema"])
            arrays = {name: z[name] for name in z.files if name != "schema"} if found == schema else {}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as cause:
        raise error(f"cannot read {what} {path}", str(cause), fix) from cause
    if found != schema:
        raise error(f"cannot read {what} {path}", f"its schema is {found}, this lipbench reads {schema}", fix)
    if missing := [name for name in needs if name not in arrays]:
        raise error(f"cannot read {what} {path}", f"it has no {', '.join(missing)}", fix)
    return arrays
