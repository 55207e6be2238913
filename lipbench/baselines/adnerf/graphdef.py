"""Constants of a frozen TensorFlow graph (`.pb`), read without TensorFlow.

The file is a GraphDef in the protocol buffer wire format (protobuf.dev/programming-guides/encoding); the field numbers
are those of tensorflow/core/framework/{graph,node_def,attr_value,tensor,tensor_shape}.proto. The file is mapped, not
read: nodes are walked once, and only the tensors that are asked for are copied.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import WeightsError
from lipbench.core.weights.opening import reading, unreadable

_FIX = "use a frozen TensorFlow graph (GraphDef, .pb)"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: DataType -> numpy, and the TensorProto field of values that are not packed into tensor_content.
_TYPES = {1: (np.float32, 5), 2: (np.float64, 6), 3: (np.int32, 7), 9: (np.int64, 10), 19: (np.float16, 13)}


@dataclass(frozen=True)
class GraphNode:
    """One operation: its type, the names it reads from, and where its constant lies in the file."""

    name: str
    op: str
    inputs: tuple[str, ...]
    tensor: memoryview | None


class GraphFile:
    """The nodes of a frozen graph by name.

    Raises:
        WeightsMissing: no such file.
        WeightsError: not a GraphDef.
    """

    def __init__(self, path: str | Path) -> None:
        with reading(path, _FIX) as self.path:
            with open(self.path, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self.nodes = {node.name: node for node in map(_node, _messages(memoryview(self._map), 1))}
        if not self.nodes:
            raise self._broken("it has no nodes")

    def constant(self, name: str) -> NDArray[np.generic]:
        """The value of the Const node `name`.

        Raises:
            WeightsError: no such node, not a constant, or of a type that weights do not have.
        """
        node = self.nodes.get(name)
        if node is None:
            near = ", ".join(list(self.nodes)[:4])
            raise self._broken(f"there is no node {name!r} in it; it begins with {near}")
        if node.op != "Const" or node.tensor is None:
            raise self._broken(f"{name!r} is a {node.op}, not a constant: the graph is not frozen")
        try:
            return _tensor(node.tensor)
        except (ValueError, IndexError) as error:
            raise self._broken(f"{name!r}: {error}") from error

    def _broken(self, why: str) -> WeightsError:
        return unreadable(self.path, why, _FIX)


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number in it is longer than 64 bits")


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """(field number, wire type, value) of every field of a message."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        value: int | memoryview
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind} in it: no protocol buffer of today")
        if number == 0 or at + size > len(data):
            raise ValueError("it is cut off, or no protocol buffer")
        yield number, kind, data[at : at + size]
        at += size


def _messages(data: memoryview, field: int) -> Iterator[memoryview]:
    for number, kind, value in _fields(data):
        if number == field and kind == _BYTES:
            assert isinstance(value, memoryview)
            yield value


def _text(data: int | memoryview) -> str:
    return bytes(data).decode() if isinstance(data, memoryview) else ""


def _node(data: memoryview) -> GraphNode:
    name, op, inputs, tensor = "", "", [], None
    for number, _, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            op = _text(value)
        elif number == 3:
            inputs.append(_text(value))
        elif number == 5 and isinstance(value, memoryview):
            entry = {n: v for n, _, v in _fields(value)}  # a map entry: 1 key, 2 AttrValue
            if _text(entry.get(1, 0)) == "value" and isinstance(entry.get(2), memoryview):
                tensor = next(_messages(entry[2], 8), None)  # type: ignore[arg-type]
    return GraphNode(name, op, tuple(inputs), tensor)


def _tensor(data: memoryview) -> NDArray[np.generic]:
    kind, shape, content, values = 0, [], None, []
    parts = list(_fields(data))
    for number, _, value in parts:
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 2 and isinstance(value, memoryview):
            for dim in _messages(value, 2):
                shape.append(next((v for n, _, v in _fields(dim) if n == 1 and isinstance(v, int)), 0))
        elif number == 4:
            content = value
    if kind not in _TYPES:
        raise ValueError(f"values of type {kind}; weights are of {sorted(_TYPES)}")
    dtype, field = _TYPES[kind]
    count = int(np.prod(shape, dtype=np.int64))
    if isinstance(content, memoryview) and len(content):
        flat: NDArray[np.generic] = np.frombuffer(content, dtype).copy()
    else:
        for number, wire, value in parts:
            if number == field:
                values.append(_numbers(value, wire, kind))
        flat = np.concatenate(values) if values else np.zeros(0, dtype)
    if len(flat) == 1 and count > 1:  # one value stands for all
        flat = np.repeat(flat, count)
    if len(flat) != count:
        raise ValueError(f"{len(flat)} values for the shape {tuple(shape)}")
    return flat.reshape(shape)


def _numbers(value: int | memoryview, wire: int, kind: int) -> NDArray[np.generic]:
    """One occurrence of a `*_val` field: packed or single."""
    dtype = _TYPES[kind][0]
    if isinstance(value, memoryview) and (wire in (_FIXED32, _FIXED64) or kind in (1, 2)):
        return np.frombuffer(value, dtype).copy()
    whole: list[int] = []
    if isinstance(value, memoryview):
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            whole.append(number)
    else:
        whole = [value]
    if kind == 19:  # half_val holds the bits of each value in an int32
        return np.array(whole, np.uint16).view(np.float16)
    return np.array(whole, np.uint64).astype(np.int64).astype(dtype)
