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

from lipbench.core.weights.opening import reading

FIX = "get the file from its original source; if that one is refused too, report it"


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
    def __init__(self, file: io.BufferedIOBase, allowed: dict[tuple[str, str], Any]) -> None:
        super().__init__(file, encoding="latin1")
        self._allowed = allowed

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._allowed:
            return self._allowed[module, name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no array; nothing of it was run")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside of it")


def load_pickle(path: str | Path, *, chumpy: bool = False, sparse: bool = False) -> Any:
    """Read a pickle of plain containers and numpy arrays.

    Args:
        chumpy: also accept chumpy arrays, as `ArrayHolder`.
        sparse: also accept scipy's compressed sparse matrices.

    Raises:
        WeightsMissing, WeightsError: no such file, or it asks for anything else, or is damaged.
    """
    with reading(path, FIX) as path, open(path, "rb") as file:
        return _load(file, _extra(chumpy, sparse))


def load_object_npy(path: str | Path) -> Any:
    """Read an .npy file that holds one pickled object (`np.save(path, some_dict)`), or a plain array.

    Raises:
        WeightsMissing, WeightsError: see `load_pickle`.
    """
    with reading(path, FIX) as path, open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        read: Callable[..., Any] = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        _, _, dtype = read(file)
        if not dtype.hasobject:
            return np.load(path, allow_pickle=False)
        found = _load(file, {})
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
        raise pickle.UnpicklingError(f"it rebuilds a {cls.__name__} in a way that arrays are not")
    return object.__new__(cls)


def _load(file: Any, extra: dict[tuple[str, str], Any]) -> Any:
    return _RestrictedUnpickler(file, {**_numpy_names(), **extra}).load()
