"""The npz files that lipbench writes and reads: no pickles, one schema number, errors that say what to do."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping
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
    room: Callable[[tuple[int, ...], Any], Any] | None = None,
) -> dict[str, Any]:
    """All arrays of a file but its `schema`.

    Args:
        schema: the only one that is read.
        what: for the error: "the face track".
        fix: for the error: what to do next.
        needs: arrays that must be there.
        error: the class that is raised.
        room: makes an array of a shape and type, which is then filled: for what may be larger than memory is.

    Raises:
        error: no such file, not an npz, of another schema, or without one of the arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as z:
            found = int(z["schema"])
            names = [name for name in z.files if name != "schema"] if found == schema else []
            arrays = {name: z[name] if room is None else _filled(z.zip, name, room) for name in names}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as cause:
        raise error(f"cannot read {what} {path}", str(cause), fix) from cause
    if found != schema:
        raise error(f"cannot read {what} {path}", f"its schema is {found}, this lipbench reads {schema}", fix)
    if missing := [name for name in needs if name not in arrays]:
        raise error(f"cannot read {what} {path}", f"it has no {', '.join(missing)}", fix)
    return arrays


def _filled(file: zipfile.ZipFile, name: str, room: Callable[[tuple[int, ...], Any], Any]) -> Any:
    """An array of an npz, read piece by piece into the room that is made for it."""
    member: Any
    with file.open(f"{name}.npy") as member:
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(
            np.lib.format.read_magic(member)
        )
        if read is None:
            raise ValueError(f"{name} is of a version of numpy's format that is not known")
        shape, by_columns, dtype = read(member)
        if dtype.hasobject:
            raise ValueError(f"{name} holds Python objects")
        array = room(shape[::-1] if by_columns else shape, dtype)
        left = memoryview(array.reshape(-1).view(np.uint8))
        while len(left):
            count = member.readinto(left[: 1 << 16])
            if not count:
                raise ValueError(f"{name} ends too early")
            left = left[count:]
    return array.T if by_columns else array
