"""A .tflite model as plain data: operators in order, constants as numpy arrays. No TensorFlow, no LiteRT.

Field and operator numbers are those of the public schema, tensorflow/lite/schema/schema.fbs (Apache-2.0).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.weights.opening import reading
from lipbench.faces.tflite.flat import FlatTable, flexbuffer

_DTYPES = {0: "<f4", 1: "<f2", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 9: "i1"}
_CUSTOM = 32
_NAMES = {
    0: "ADD",
    1: "AVERAGE_POOL_2D",
    2: "CONCATENATION",
    3: "CONV_2D",
    4: "DEPTHWISE_CONV_2D",
    5: "DEPTH_TO_SPACE",
    6: "DEQUANTIZE",
    14: "LOGISTIC",
    17: "MAX_POOL_2D",
    18: "MUL",
    19: "RELU",
    21: "RELU6",
    22: "RESHAPE",
    23: "RESIZE_BILINEAR",
    34: "PAD",
    45: "STRIDED_SLICE",
    54: "PRELU",
    117: "HARD_SWISH",
    124: "DENSIFY",
}
# operator -> (field number, struct code, default) of the options that change its result
_POOL = {
    "padding": (0, "b", 0),
    "stride_w": (1, "i", 0),
    "stride_h": (2, "i", 0),
    "width": (3, "i", 0),
    "height": (4, "i", 0),
    "activation": (5, "b", 0),
}
_OPTIONS: dict[str, dict[str, tuple[int, str, int]]] = {
    "ADD": {"activation": (0, "b", 0)},
    "MUL": {"activation": (0, "b", 0)},
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "CONCATENATION": {"axis": (0, "i", 0), "activation": (1, "b", 0)},
    "CONV_2D": {
        "padding": (0, "b", 0),
        "stride_w": (1, "i", 0),
        "stride_h": (2, "i", 0),
        "activation": (3, "b", 0),
        "dilation_w": (4, "i", 1),
        "dilation_h": (5, "i", 1),
    },
    "DEPTHWISE_CONV_2D": {
        "padding": (0, "b", 0),
        "stride_w": (1, "i", 0),
        "stride_h": (2, "i", 0),
        "activation": (4, "b", 0),
        "dilation_w": (5, "i", 1),
        "dilation_h": (6, "i", 1),
    },
    "DEPTH_TO_SPACE": {"block": (0, "i", 0)},
    "RESIZE_BILINEAR": {"align_corners": (2, "B", 0), "half_pixel_centers": (3, "B", 0)},
    "STRIDED_SLICE": {
        "begin_mask": (0, "i", 0),
        "end_mask": (1, "i", 0),
        "ellipsis_mask": (2, "i", 0),
        "new_axis_mask": (3, "i", 0),
        "shrink_axis_mask": (4, "i", 0),
    },
}


@dataclass(frozen=True)
class Op:
    """One operator: `kind` is the schema's name, "CUSTOM:<name>@<version>" for custom ones; -1 = absent input."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Graph:
    """A model's first subgraph.

    Attributes:
        ops: in the order of execution; DEQUANTIZE and DENSIFY of constants are done already.
        inputs: tensor numbers.
        outputs: tensor numbers.
        shapes: tensor number -> shape in the file's NHWC order.
        names: tensor number -> name.
        constants: tensor number -> array, float16 widened to float32, sparse ones made dense.
    """

    ops: tuple[Op, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    shapes: dict[int, tuple[int, ...]]
    names: dict[int, str]
    constants: dict[int, NDArray[Any]]


def read(path: str | Path) -> Graph:
    """Read a .tflite file.

    Raises:
        WeightsError: not a readable .tflite file, or one with an operator or type that is not known here.
    """
    with reading(path) as path:
        data = path.read_bytes()
        if data[4:8] != b"TFL3":
            raise ValueError("it does not carry the TFL3 mark")
        return parse(data)


def parse(data: bytes) -> Graph:
    """The graph in the bytes of a .tflite file."""
    model = FlatTable.root(data)
    codes = [_code(table) for table in model.tables(1)]
    buffers = model.tables(4)
    graph = model.tables(2)[0]
    tensors = graph.tables(0)
    shapes = {i: tuple(int(n) for n in tensor.array(0, "<i4")) for i, tensor in enumerate(tensors)}
    constants = {}
    for i, tensor in enumerate(tensors):
        raw = buffers[tensor.scalar(2, "I")].array(0, "u1")
        if len(raw):
            values = np.frombuffer(raw.tobytes(), _DTYPES[tensor.scalar(1, "b")])
            sparsity = tensor.table(6)
            constants[i] = values.reshape(shapes[i]) if sparsity is None else densify(values, shapes[i], sparsity)

    ops: list[Op] = []
    for operator in graph.tables(3):
        kind = codes[operator.scalar(0, "I")]
        inputs = tuple(int(n) for n in operator.array(1, "<i4"))
        outputs = tuple(int(n) for n in operator.array(2, "<i4"))
        if kind in ("DEQUANTIZE", "DENSIFY") and inputs[0] in constants:
            constants[outputs[0]] = constants[inputs[0]]
        else:
            ops.append(Op(kind, inputs, outputs, _options(kind, operator)))
    used = {number for op in ops for number in op.inputs}
    return Graph(
        tuple(ops),
        tuple(int(n) for n in graph.array(1, "<i4")),
        tuple(int(n) for n in graph.array(2, "<i4")),
        shapes,
        {i: tensor.text(3) for i, tensor in enumerate(tensors)},
        {i: a.astype(np.float32) if a.dtype == np.float16 else a for i, a in constants.items() if i in used},
    )


def _code(table: FlatTable) -> str:
    # The 8-bit field came first and saturates at 127; newer operators use the 32-bit one.
    number = max(table.scalar(0, "b"), table.scalar(3, "i"))
    if number == _CUSTOM:
        return f"CUSTOM:{table.text(1)}@{table.scalar(2, 'i', 1)}"
    if number not in _NAMES:
        raise ValueError(f"operator {number} is not known here")
    return _NAMES[number]


def _options(kind: str, operator: FlatTable) -> dict[str, Any]:
    if kind.startswith("CUSTOM:"):
        raw = operator.array(5, "u1").tobytes()
        if kind.startswith("CUSTOM:Convolution2DTransposeBias"):
            return dict(zip(("padding", "stride_w", "stride_h"), struct.unpack("<3i", raw), strict=True))
        return dict(flexbuffer(raw) or {}) if raw else {}
    fields = _OPTIONS.get(kind, {})
    table = operator.table(4)
    if table is None:
        return {name: default for name, (_, _, default) in fields.items()}
    return {name: table.scalar(number, form, default) for name, (number, form, default) in fields.items()}


def densify(values: NDArray[Any], shape: tuple[int, ...], sparsity: FlatTable) -> NDArray[Any]:
    """A dense array from TFLite's sparse format: nested dense and CSR levels in a traversal order, with blocks.

    Level k of the format runs over dimension `order[k]`; numbers >= rank are the inner dimensions of blocks and
    `blocks` says which real dimension each of them divides.
    """
    order = [int(n) for n in sparsity.array(0, "<i4")]
    blocks = [int(n) for n in sparsity.array(1, "<i4")]
    place = np.zeros(1, np.int64)  # where each partial index stands in the level's storage
    index = np.zeros((1, 0), np.int64)  # the partial indices themselves
    sizes = []
    for level in sparsity.tables(2):
        if level.scalar(0, "b") == 0:  # dense
            size = level.scalar(1, "i")
            column = np.tile(np.arange(size), len(place))
            index = np.repeat(index, size, axis=0)
            place = (place[:, None] * size + np.arange(size)).ravel()
        else:
            size = 0  # sparse levels are never block dimensions
            segments, positions = _integers(level, 2), _integers(level, 4)
            count = segments[place + 1] - segments[place]
            first = np.repeat(segments[place] - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
            index = np.repeat(index, count, axis=0)
            place = first + np.arange(len(first))
            column = positions[place]
        sizes.append(size)
        index = np.concatenate([index, column[:, None]], axis=1)

    rank = len(shape)
    full = np.zeros((len(place), rank), np.int64)
    for number, dimension in enumerate(blocks):
        size = sizes[order.index(rank + number)]
        full[:, dimension] = index[:, order.index(dimension)] * size + index[:, order.index(rank + number)]
    for dimension in set(range(rank)) - set(blocks):
        full[:, dimension] = index[:, order.index(dimension)]
    dense = np.zeros(shape, values.dtype)
    dense[tuple(full.T)] = values[place]
    return dense


def _integers(level: FlatTable, number: int) -> NDArray[np.int64]:
    """A SparseIndexVector union: its type at `number`, its table after it."""
    dtype = {1: "<i4", 2: "<u2", 3: "u1"}[level.scalar(number, "B")]
    table = level.table(number + 1)
    if table is None:
        raise ValueError("a sparse dimension without indices")
    return table.array(0, dtype).astype(np.int64)
