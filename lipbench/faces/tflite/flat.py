"""Reading flatbuffers and flexbuffers: the two containers inside a .tflite file.

A flatbuffer table points back to its vtable, which says where each field lies; a field that is absent has its
default. A flexbuffer is a small schemaless value (here: the options of custom operators), read from its end.
Formats: flatbuffers.dev/internals and flatbuffers.dev/flexbuffers (Google, Apache-2.0).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FlatTable:
    """One flatbuffer table: fields by their number in the schema."""

    def __init__(self, data: bytes, position: int) -> None:
        self.data, self.position = data, position
        self.vtable = position - self._at("<i", position)
        self.fields = (self._at("<H", self.vtable) - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> FlatTable:
        return cls(data, struct.unpack_from("<I", data, 0)[0])

    def _at(self, form: str, position: int) -> int:
        return int(struct.unpack_from(form, self.data, position)[0])

    def _field(self, number: int) -> int:
        """Where the field lies, 0 when it is absent."""
        offset = self._at("<H", self.vtable + 4 + 2 * number) if number < self.fields else 0
        return self.position + offset if offset else 0

    def scalar(self, number: int, form: str, default: int = 0) -> int:
        """`form` is a struct code: "b" int8, "B" uint8 or bool, "i" int32, "I" uint32."""
        where = self._field(number)
        return self._at("<" + form, where) if where else default

    def table(self, number: int) -> FlatTable | None:
        where = self._field(number)
        return FlatTable(self.data, where + self._at("<I", where)) if where else None

    def _vector(self, number: int) -> tuple[int, int]:
        """(position of the first element, number of elements)"""
        where = self._field(number)
        if not where:
            return 0, 0
        start = where + self._at("<I", where)
        return start + 4, self._at("<I", start)

    def array(self, number: int, dtype: str) -> NDArray[Any]:
        """A vector of numbers, empty when absent; a view into the file."""
        start, count = self._vector(number)
        return np.frombuffer(self.data, dtype, count, start)

    def tables(self, number: int) -> list[FlatTable]:
        start, count = self._vector(number)
        where = [start + 4 * i for i in range(count)]
        return [FlatTable(self.data, w + self._at("<I", w)) for w in where]

    def text(self, number: int) -> str:
        return bytes(self.array(number, "u1")).decode()


# Flexbuffer types (the upper six bits of a packed type; the lower two are log2 of the byte width).
_NULL, _INT, _UINT, _FLOAT, _KEY, _STRING, _INDIRECT_INT, _INDIRECT_UINT, _INDIRECT_FLOAT, _MAP, _VECTOR = range(11)
_VECTOR_INT, _VECTOR_UINT, _VECTOR_FLOAT, _BOOL, _VECTOR_BOOL = 11, 12, 13, 26, 36
_TYPED = {_VECTOR_INT: _INT, _VECTOR_UINT: _UINT, _VECTOR_FLOAT: _FLOAT, _VECTOR_BOOL: _BOOL}
_CODES = {_INT: "bhiq", _UINT: "BHIQ", _BOOL: "BHIQ", _FLOAT: "?efd"}


def flexbuffer(data: bytes) -> Any:
    """The value held by a flexbuffer: None, bool, int, float, str, list or dict.

    Raises:
        ValueError: a type that these files do not use (blobs, fixed-length vectors).
    """
    width, packed = data[-1], data[-2]
    return _value(data, len(data) - 2 - width, width, packed)


def _number(data: bytes, where: int, width: int, kind: int) -> Any:
    return struct.unpack_from("<" + _CODES[kind][width.bit_length() - 1], data, where)[0]


def _value(data: bytes, where: int, width: int, packed: int) -> Any:
    kind, inner = packed >> 2, 1 << (packed & 3)
    if kind == _NULL:
        return None
    if kind == _BOOL:
        return bool(_number(data, where, width, _BOOL))
    if kind in (_INT, _UINT, _FLOAT):
        return _number(data, where, width, kind)
    start = where - _number(data, where, width, _UINT)  # everything else is an offset back to the data
    if kind in (_INDIRECT_INT, _INDIRECT_UINT, _INDIRECT_FLOAT):
        return _number(data, start, inner, kind - _INDIRECT_INT + _INT)
    if kind == _KEY:
        return data[start : data.index(0, start)].decode()
    size = _number(data, start - inner, inner, _UINT)
    if kind == _STRING:
        return data[start : start + size].decode()
    if kind in _TYPED:
        element = _TYPED[kind]
        found = [_number(data, start + i * inner, inner, element) for i in range(size)]
        return [bool(v) for v in found] if element == _BOOL else found
    if kind in (_VECTOR, _MAP):
        types = start + size * inner
        values = [_value(data, start + i * inner, inner, data[types + i]) for i in range(size)]
        if kind == _VECTOR:
            return values
        keys_at = start - 3 * inner
        keys_start = keys_at - _number(data, keys_at, inner, _UINT)
        keys_width = _number(data, start - 2 * inner, inner, _UINT)
        keys = [_value(data, keys_start + i * keys_width, keys_width, _KEY << 2) for i in range(size)]
        return dict(zip(keys, values, strict=True))
    raise ValueError(f"flexbuffer type {kind} is not used by the models that are read here")
