"""The npz files that lipbench writes and reads: no pickles, one schema number, errors that say what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core.errors import LipbenchError, MediaError


def save(path: str | Path, arrays: Mapping[str, Any], *, compressed: bool = True) -> None:
    """Write arrays by name; none is pickled. `path` ends in .npz, or numpy appends it.

    numpy's own `allow_pickle=False` came with 2.1; older versions take it for one more array.

    Raises:
        TypeError: an array of objects, which only a pickle could hold.
    """
    values = {name: np.asanyarray(value) for name, value in arrays.items()}
    for name, value in values.items():
        if value.dtype.hasobject:
            raise TypeError(f"{name} holds Python objects, which an npz without pickles cannot")
    (np.savez_compressed if compressed else np.savez)(path, **values)  # type: ignore[arg-type]


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
        schema: the only one that is read.
        what: for the error: "the face track".
        fix: for the error: what to do next.
        needs: arrays that must be there.
        error: the class that is raised.

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
