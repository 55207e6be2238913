"""Reading torch's files without running anything that is in them.

`torch.load` is not used on files that somebody else may have made: without `weights_only` it runs them, with it the
versions before 2.6 could be made to, and an archive of TorchScript brings its own program along. Here the pickle inside
resolves only the names that tensors and containers are made of. Read are the zip archives of torch 1.6 and later, the
files before that, and TorchScript archives, of which the tensors are taken and the program is left alone.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch
from torch import Tensor

from lipbench.core.errors import WeightsError
from lipbench.core.weights.opening import reading, unreadable

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
}
#: Functions of torch.jit._pickle: a list of one type of elements, or a value with its type's name.
_LISTS = ("build_tensorlist", "build_intlist", "build_doublelist", "build_boollist", "restore_type_tag")


def read(path: str | Path, fix: str = "get the file again", *, stand_ins: bool = False) -> Any:
    """What `torch.save` wrote, tensors on the CPU; of a TorchScript archive the state dict.

    Args:
        fix: for the error: what to do.
        stand_ins: objects of classes that are not read (an optimizer, options) become empty ones; else they are
            refused.

    Raises:
        WeightsMissing: no such file.
        WeightsError: no torch file, a damaged one, or one that asks for more than tensors.
    """
    with reading(path, fix) as path:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                found = _zip(archive, stand_ins)
        else:
            with open(path, "rb") as file:
                found = _old(file, path.stat().st_size, stand_ins)
        return dict(_parameters(found)) if isinstance(found, _ScriptModule) else found


def state_dict(path: str | Path, fix: str = "get the file again") -> dict[str, Tensor]:
    """The float32 state dict in a torch file: a bare one, or under `state_dict`; without `module.` prefixes.

    Raises:
        WeightsMissing, WeightsError: as `read`, or it holds no state dict of tensors.
    """
    return floats(tensors(read(path, fix), path, fix))


def tensors(held: Any, path: str | Path, fix: str) -> dict[str, Tensor]:
    """What `read` gave as a state dict of tensors, `module.` prefixes taken off.

    Raises:
        WeightsError: it is none.
    """
    state = held.get("state_dict", held) if isinstance(held, Mapping) else None
    if not isinstance(state, Mapping):
        raise unreadable(path, f"it holds a {type(held).__name__}, no state dict", fix)
    if not state:
        raise unreadable(path, "it is a state dict without entries", fix)
    foreign = next((key for key, value in state.items() if not isinstance(value, Tensor)), None)
    if foreign is not None:
        raise unreadable(path, f"{foreign!r} in it is no tensor", fix)
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def floats(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same with every floating point tensor as float32."""
    return {key: value.float() if value.is_floating_point() else value for key, value in state.items()}


# -- the two containers -------------------------------------------------------------------------------------------


def _zip(archive: zipfile.ZipFile, stand_ins: bool) -> Any:
    infos = {info.filename: info for info in archive.infolist()}
    root = next((n.removesuffix("data.pkl") for n in infos if n.endswith("/data.pkl") and n.count("/") == 1), None)
    if root is None:
        raise ValueError("it is a zip archive, but not torch's: it has no data.pkl")
    order = f"{root}byteorder"
    if order in infos and archive.read(order) != b"little":
        raise ValueError("it was written by a big-endian machine")

    def storage(kind: torch.dtype, key: str, _: int) -> Tensor:
        info = infos[f"{root}data/{key}"]
        buffer = bytearray(info.file_size)
        with cast(io.BufferedIOBase, archive.open(info)) as stream:
            # readinto of a zip member may stop early; reading on to the end also checks the checksum.
            view, at = memoryview(buffer), 0
            while n := stream.readinto(view[at:]):
                at += n
            if at != len(buffer) or stream.read(1):
                raise ValueError(f"the tensor data {key} is cut off")
        size = kind.itemsize
        return (
            torch.frombuffer(buffer, dtype=kind, count=len(buffer) // size) if len(buffer) >= size else _nothing(kind)
        )

    return _Unpickler(io.BytesIO(archive.read(f"{root}data.pkl")), storage, stand_ins).load()


def _old(file: BinaryIO, size: int, stand_ins: bool) -> Any:
    """Files before torch 1.6: three pickles of numbers, one of the content, one of keys, then the tensors' bytes."""
    waiting: dict[str, Tensor] = {}
    room = size

    def storage(kind: torch.dtype, key: str, count: int) -> Tensor:
        nonlocal room
        room -= count * kind.itemsize
        if count < 0 or room < 0:
            raise ValueError(f"it is cut off: the tensor data {key} is longer than the file")
        waiting[key] = torch.empty(count, dtype=kind)
        return waiting[key]

    def unpickled() -> Any:
        return _Unpickler(file, storage, stand_ins).load()

    if not (head := file.read(4)).startswith(b"\x80"):
        raise ValueError(f"it is no torch file: it starts with {head!r}")
    file.seek(0)
    if unpickled() != _MAGIC or unpickled() != _PROTOCOL:
        raise ValueError("it is a pickle, but no torch file")
    system = unpickled()
    if not isinstance(system, Mapping) or not system.get("little_endian", True):
        raise ValueError("it was written by a big-endian machine")
    found = unpickled()
    for key in unpickled():
        data = waiting[key]
        (count,) = struct.unpack("<q", file.read(8))
        if count != len(data):
            raise ValueError(f"the tensor data {key} has {count} numbers, expected {len(data)}")
        if count and file.readinto(data.view(torch.uint8).numpy()) != count * data.itemsize:  # type: ignore[attr-defined]
            raise ValueError("it is cut off: the tensor data ends early")
    return found


def _nothing(kind: torch.dtype) -> Tensor:
    return torch.empty(0, dtype=kind)


# -- the pickle inside --------------------------------------------------------------------------------------------


class _Allowed:
    """A function that a pickle may call. Its state cannot be set, as a plain function's could."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setstate__(self, _: Any) -> None:
        raise pickle.UnpicklingError("it changes what reads it")


class _ScriptModule:
    """A module of a TorchScript archive: its attributes, none of its program."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.attributes = dict(state) if isinstance(state, dict) else {}


class _StandIn:
    """An object of a class that is not read; it takes anything and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass

    def append(self, _: Any) -> None:
        """For the pickle of a list's descendant."""

    def extend(self, _: Any) -> None:
        """For the pickle of a list's descendant."""

    def __setitem__(self, _: Any, __: Any) -> None:
        pass


class _Unpickler(pickle.Unpickler):
    """Args: storage: dtype, key, number of elements -> (N,) tensor of that dtype."""

    def __init__(
        self, file: BinaryIO | io.BytesIO, storage: Callable[[torch.dtype, str, int], Tensor], stand_ins: bool
    ) -> None:
        super().__init__(file, encoding="utf-8")
        self._storage, self._stand_ins = storage, stand_ins
        self._stored: dict[str, Tensor] = {}
        rebuild = _Allowed(_tensor)
        self._names: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,
            ("torch", "Size"): torch.Size,
            ("torch", "device"): torch.device,
            ("torch._utils", "_rebuild_tensor"): rebuild,
            ("torch._utils", "_rebuild_tensor_v2"): rebuild,
            ("torch._utils", "_rebuild_tensor_v3"): _Allowed(_typed_tensor),
            ("torch._utils", "_rebuild_parameter"): _Allowed(lambda data, *_: data),
            ("torch._utils", "_rebuild_parameter_with_state"): _Allowed(lambda data, *_: data),
            **{("torch", f"{name}Storage"): kind for name, kind in _STORAGES.items()},
            ("torch.storage", "UntypedStorage"): torch.uint8,
            **{("torch.jit._pickle", name): _Allowed(lambda value, *_: value) for name in _LISTS},
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._names:
            return self._names[module, name]
        if module == "torch" and isinstance(kind := getattr(torch, name, None), torch.dtype):
            return kind
        if module.split(".")[0] == "__torch__":
            return type(name.rpartition(".")[2] or name, (_ScriptModule,), {})
        if self._stand_ins:
            return type("StandIn", (_StandIn,), {})
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no tensor; nothing of it was run")

    def persistent_load(self, pid: Any) -> Any:
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage" and isinstance(pid[1], torch.dtype)):
            raise pickle.UnpicklingError("it refers to something other than tensor data")
        kind, key, count = pid[1], str(pid[2]), int(pid[4])
        if key not in self._stored:
            self._stored[key] = self._storage(kind, key, count)
        data = self._stored[key]
        view = pid[5] if len(pid) > 5 else None  # old files: a part of another storage
        if view is None:
            return data
        _, first, length = view
        return data[int(first) : int(first) + int(length)]


def _tensor(data: Tensor, first: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    """A view of its storage; one that is larger than it, or reaches out of it, is refused."""
    if not isinstance(data, Tensor):
        raise pickle.UnpicklingError("a tensor in it has no data")
    last = first + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if min((first, *size, *stride), default=0) < 0 or count > len(data) or (count and last >= len(data)):
        raise ValueError(f"a tensor of shape {tuple(size)} does not fit into its data")
    return data.as_strided(tuple(size), tuple(stride), first)


def _typed_tensor(
    data: Tensor,
    first: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    _: Any,
    __: Any,
    kind: torch.dtype,
    *___: Any,
) -> Tensor:
    return _tensor(data.view(kind), first, size, stride)


def _parameters(module: _ScriptModule, prefix: str = "", above: tuple[int, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    if id(module) in above:
        raise WeightsError("a module in it holds itself")
    for name, value in module.attributes.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _ScriptModule):
            yield from _parameters(value, f"{prefix}{name}.", (*above, id(module)))
