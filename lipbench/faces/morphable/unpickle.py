"""Reading other people's pickles without running other people's code.

Three of the 3DMM formats are pickles, and a pickle may call anything. This unpickler resolves only the names that
arrays are made of; every other name is an error, not an import.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lipbench.core.errors import UsageError


class ArrayHolder:
    """Stands in for chumpy's `Ch` objects: keeps their state, from which `unwrap` takes the array."""

    def __init__(self, *_: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = dict(state)

    def unwrap(self) -> np.ndarray:
        """The array inside. KeyError when there is none."""
        return np.asarray(self.state["x"])


def _codecs_encode(text: str, encoding: str = "latin1") -> bytes:
    """What Python 2 pickles use for byte strings."""
    return text.encode("latin1" if encoding not in ("utf-8", "ascii") else encoding)


def _numpy_names() -> dict[tuple[str, str], Any]:
    reconstruct = np.ndarray.__reduce__(np.zeros(1))[0]
    scalar = np.float64(0).__reduce__()[0]
    names: dict[tuple[str, str], Any] = {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}
    for package in ("numpy.core.multiarray", "numpy._core.multiarray"):
        names[package, "_reconstruct"] = reconstruct
        names[package, "scalar"] = scalar
    frombuffer = np.zeros(1).__reduce_ex__(5)[0]
    for package in ("numpy.core.numeric", "numpy._core.numeric"):
        names[package, "_frombuffer"] = frombuffer
    names["_codecs", "encode"] = _codecs_encode
    return names


class _RestrictedUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BufferedIOBase, allowed: dict[tuple[str, str], Any], where: str) -> None:
        super().__init__(file, encoding="latin1")
        self._allowed, self._where = allowed, where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._allowed:
            return self._allowed[module, name]
        raise UsageError(
            f"refusing to unpickle {self._where}",
            f"it asks for {module}.{name}, which is not plain array data",
            "get the file from its original source; if that one asks for this too, report it",
        )

    def persistent_load(self, pid: Any) -> Any:
        raise UsageError(f"refusing to unpickle {self._where}", "it refers to outside objects", "get the original file")


def load_pickle(path: str | Path, *, chumpy: bool = False, sparse: bool = False) -> Any:
    """Read a pickle of plain containers and numpy arrays.

    Args:
        chumpy: also accept chumpy arrays, as `ArrayHolder`.
        sparse: also accept scipy's compressed sparse matrices.

    Raises:
        UsageError: the file asks for anything else, or is damaged.
    """
    with open(path, "rb") as file:
        return _load(file, str(path), _extra(chumpy, sparse))


def load_object_npy(path: str | Path) -> Any:
    """Read an .npy file that holds one pickled object (`np.save(path, some_dict)`), or a plain array.

    Raises:
        UsageError: see `load_pickle`.
    """
    with open(path, "rb") as file:
        try:
            version = np.lib.format.read_magic(file)
            read: Callable[..., Any] = (
                np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            )
            _, _, dtype = read(file)
        except ValueError as error:
            raise UsageError(f"cannot read {path}", str(error), "it should be an .npy file") from error
        if not dtype.hasobject:
            return np.load(path, allow_pickle=False)
        found = _load(file, str(path), {})
    return found.item() if isinstance(found, np.ndarray) and found.shape == () else found


def _extra(chumpy: bool, sparse: bool) -> dict[tuple[str, str], Any]:
    extra: dict[tuple[str, str], Any] = {}
    if chumpy:
        for module, name in (("chumpy.ch", "Ch"), ("chumpy", "Ch"), ("chumpy.reordering", "Select")):
            extra[module, name] = ArrayHolder
    if sparse:
        from scipy.sparse import csc_matrix, csr_matrix

        for module in ("scipy.sparse.csc", "scipy.sparse._csc"):
            extra[module, "csc_matrix"] = csc_matrix
        for module in ("scipy.sparse.csr", "scipy.sparse._csr"):
            extra[module, "csr_matrix"] = csr_matrix
        extra["copy_reg", "_reconstructor"] = extra["copyreg", "_reconstructor"] = _reconstructor
        extra["__builtin__", "object"] = extra["builtins", "object"] = object
    return extra


def _reconstructor(cls: type, base: type, state: Any) -> Any:
    """`copyreg._reconstructor` for the sparse classes only (base object, no state)."""
    if base is not object or state is not None:
        raise UsageError(
            "refusing to unpickle", f"unexpected reconstruction of {cls.__name__}", "get the original file"
        )
    return object.__new__(cls)


def _load(file: Any, where: str, extra: dict[tuple[str, str], Any]) -> Any:
    try:
        return _RestrictedUnpickler(file, {**_numpy_names(), **extra}, where).load()
    except (pickle.UnpicklingError, EOFError, AttributeError, ValueError, IndexError, TypeError) as error:
        raise UsageError(f"cannot read {where}", f"the pickle is damaged: {error}", "get the file again") from error
