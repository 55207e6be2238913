"""Reading .tflite files: flatbuffers, flexbuffers, sparse tensors, whole models, on files built here byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.core import weights
from lipbench.core.errors import Unsupported, WeightsError
from lipbench.faces.graph_net import GraphNet
from lipbench.faces.tflite import parse, read
from lipbench.faces.tflite.flat import FlatTable, flexbuffer
from lipbench.faces.tflite.model import densify

# -- a minimal flatbuffer writer ----------------------------------------------------------------------------------


class Writer:
    """Tables are dicts {field: value}; values: ("i", 3) scalars, dicts (tables), lists of dicts, arrays, strings."""

    def __init__(self) -> None:
        self.data = bytearray()

    def _align(self) -> int:
        self.data += b"\0" * (-len(self.data) % 4)
        return len(self.data)

    def finish(self, root: dict[int, Any], mark: bytes = b"TFL3") -> bytes:
        self.data += b"\0\0\0\0" + mark
        struct.pack_into("<I", self.data, 0, self.table(root))
        return bytes(self.data)

    def table(self, fields: dict[int, Any]) -> int:
        count = max(fields, default=-1) + 1
        vtable = self._align()
        self.data += struct.pack("<HH", 4 + 2 * count, 4 + 4 * len(fields)) + b"\0\0" * count
        start = self._align()
        self.data += struct.pack("<i", start - vtable) + b"\0" * 4 * len(fields)
        for slot, (number, value) in enumerate(fields.items()):
            struct.pack_into("<H", self.data, vtable + 4 + 2 * number, 4 + 4 * slot)
            where = start + 4 + 4 * slot
            if isinstance(value, tuple):
                struct.pack_into("<" + value[0], self.data, where, value[1])
            else:
                struct.pack_into("<I", self.data, where, self._child(value) - where)
        return start

    def _child(self, value: Any) -> int:
        if isinstance(value, dict):
            return self.table(value)
        start = self._align()
        if isinstance(value, list):
            self.data += struct.pack("<I", len(value)) + b"\0" * 4 * len(value)
            for i, item in enumerate(value):
                where = start + 4 + 4 * i
                struct.pack_into("<I", self.data, where, self.table(item) - where)
        else:
            raw = value.encode() if isinstance(value, str) else np.asarray(value).tobytes()
            self.data += struct.pack("<I", len(value)) + raw
        return start


TYPES = {"float32": 0, "float16": 1, "int32": 2}


def tensor(name: str, shape: tuple[int, ...], buffer: int, dtype: str = "float32", **more: Any) -> dict[int, Any]:
    made: dict[int, Any] = {0: np.asarray(shape, "<i4"), 1: ("b", TYPES[dtype]), 2: ("I", buffer), 3: name}
    return made | ({6: more["sparsity"]} if "sparsity" in more else {})


def model(
    tensors: list[tuple[str, tuple[int, ...], np.ndarray | None]],
    ops: list[tuple[int | str, list[int], list[int], dict[int, Any] | bytes | None]],
    inputs: list[int],
    outputs: list[int],
    sparsity: dict[int, Any] | None = None,
) -> bytes:
    """The bytes of a .tflite file. An operator is named by its builtin number or, custom ones, "name@version"."""
    codes: list[dict[int, Any]] = []
    made = []
    for kind, ins, outs, options in ops:
        if isinstance(kind, str):
            name, version = kind.split("@")
            codes.append({0: ("b", 32), 1: name, 2: ("i", int(version)), 3: ("i", 32)})
        else:
            codes.append({0: ("b", min(kind, 127)), 3: ("i", kind)})
        op: dict[int, Any] = {0: ("I", len(codes) - 1), 1: np.asarray(ins, "<i4"), 2: np.asarray(outs, "<i4")}
        if isinstance(options, dict):
            op |= {3: ("B", 1), 4: options}
        elif options is not None:
            op |= {5: np.frombuffer(options, "u1")}
        made.append(op)
    buffers: list[dict[int, Any]] = [{}]
    described = []
    for i, (name, shape, values) in enumerate(tensors):
        number = 0
        if values is not None:
            number = len(buffers)
            buffers.append({0: np.frombuffer(values.tobytes(), "u1")})
        dtype = "float32" if values is None else values.dtype.name
        extra = {"sparsity": sparsity[i]} if sparsity and i in sparsity else {}
        described.append(tensor(name, shape, number, dtype, **extra))
    graph = {0: described, 1: np.asarray(inputs, "<i4"), 2: np.asarray(outputs, "<i4"), 3: made}
    return Writer().finish({0: ("I", 3), 1: codes, 2: [graph], 4: buffers})


# -- flatbuffers and flexbuffers ----------------------------------------------------------------------------------


def test_table_fields_and_defaults() -> None:
    data = Writer().finish({0: ("i", -7), 2: "name", 5: np.asarray([1, 2, 3], "<u2"), 6: [{0: ("b", -3)}, {}]})
    root = FlatTable.root(data)
    assert root.scalar(0, "i") == -7
    assert root.scalar(1, "i", 42) == 42  # absent
    assert root.scalar(99, "i", 5) == 5  # beyond the vtable
    assert root.text(2) == "name"
    assert root.array(5, "<u2").tolist() == [1, 2, 3]
    assert root.array(3, "<i4").tolist() == []
    assert root.table(4) is None
    assert [table.scalar(0, "b", 9) for table in root.tables(6)] == [-3, 9]


# Written by the flatbuffers package's own flexbuffers encoder.
FLEX = bytes.fromhex(
    "616e737765720062696700666c61670068616c66006c6973740003000100feff2c010505056d697865640001780000000300000008000000"
    "020000000000803e14060e6e616d6500057061746368006e65676174697665006e6f6e65007468697264000a645e5b575344271c14100000"
    "0c0000000000000001000000000000000a000000000000002a0000000000000070110100000000000100000000000000000000000000e03f"
    "8c000000000000007c000000000000006f00000000000000d4feffffffffffff0000000000000000555555555555d53f07076b0f292a1407"
    "030f5a2701"
)
FLEX_TYPED = bytes.fromhex(
    "696e74730003050607666c6f61747300020000000000003f0000c03f66617200f703061a2403010308152418362c062401"
)


def test_flexbuffers() -> None:
    assert flexbuffer(FLEX) == {
        "answer": 42,
        "big": 70000,
        "flag": True,
        "half": 0.5,
        "list": [1, -2, 300],
        "mixed": ["x", 2, 0.25],
        "name": "patch",
        "negative": -300,
        "none": None,
        "third": 1 / 3,
    }
    assert flexbuffer(FLEX_TYPED) == {"far": -9, "floats": [0.5, 1.5], "ints": [5, 6, 7]}
    assert flexbuffer(bytes([7, 4, 1])) == 7  # a bare integer: value, packed type, width


# -- sparse tensors -----------------------------------------------------------------------------------------------


def dense_level(size: int) -> dict[int, Any]:
    return {0: ("b", 0), 1: ("i", size)}


def sparse_level(segments: list[int], indices: list[int], dtype: str = "u1") -> dict[int, Any]:
    number = {"<i4": 1, "<u2": 2, "u1": 3}[dtype]
    return {
        0: ("b", 1),
        2: ("B", number),
        3: {0: np.asarray(segments, dtype)},
        4: ("B", number),
        5: {0: np.asarray(indices, dtype)},
    }


def unpack(values: list[float], shape: tuple[int, ...], sparsity: dict[int, Any]) -> np.ndarray:
    return densify(np.asarray(values, np.float32), shape, FlatTable.root(Writer().finish(sparsity)))


@pytest.mark.parametrize("dtype", ["<i4", "<u2", "u1"])
def test_densify_rows(dtype: str) -> None:
    levels = [dense_level(3), sparse_level([0, 2, 2, 3], [0, 3, 1], dtype)]
    found = unpack([1, 2, 3], (3, 4), {0: np.asarray([0, 1], "<i4"), 2: levels})
    assert found.tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [0, 3, 0, 0]]


def test_densify_columns_first() -> None:
    levels = [dense_level(4), sparse_level([0, 1, 2, 2, 3], [0, 2, 0])]
    found = unpack([1, 3, 2], (3, 4), {0: np.asarray([1, 0], "<i4"), 2: levels})
    assert found.tolist() == [[1, 0, 0, 2], [0, 0, 0, 0], [0, 3, 0, 0]]


def test_densify_blocks() -> None:
    # blocks of 2 x 2: block row 0 holds block column 1, block row 1 holds block columns 0 and 1
    levels = [dense_level(2), sparse_level([0, 1, 3], [1, 0, 1]), dense_level(2), dense_level(2)]
    sparsity = {0: np.asarray([0, 1, 2, 3], "<i4"), 1: np.asarray([0, 1], "<i4"), 2: levels}
    found = unpack(list(range(1, 13)), (4, 4), sparsity)
    assert found.tolist() == [[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 9, 10], [7, 8, 11, 12]]


# -- models -------------------------------------------------------------------------------------------------------


def small_model(**more: Any) -> bytes:
    """x (1, 2, 2, 1) + float16 constant, sparse one times it."""
    half = np.asarray([1.5], np.float16)
    return model(
        [("x", (1, 2, 2, 1), None), ("half", (1,), half), ("one", (1,), None), ("y", (1, 2, 2, 1), None)],
        [(6, [1], [2], None), (0, [0, 2], [3], {0: ("b", 1)})],
        [0],
        [3],
        **more,
    )


def test_parse_folds_dequantize_and_keeps_what_is_used() -> None:
    graph = parse(small_model())
    assert [op.kind for op in graph.ops] == ["ADD"]
    assert graph.ops[0].options == {"activation": 1}
    assert list(graph.constants) == [2]
    assert graph.constants[2].dtype == np.float32
    assert graph.constants[2].tolist() == [1.5]
    assert graph.names[3] == "y"
    assert graph.shapes[0] == (1, 2, 2, 1)


def test_model_runs_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "m.tflite").write_bytes(small_model())
    net = GraphNet.load(tmp_path / "m.tflite")
    x = torch.tensor([[-9.0, 0.0], [1.0, 2.0]]).reshape(1, 2, 2, 1)
    assert net(x)[0].reshape(2, 2).tolist() == [[0.0, 1.5], [2.5, 3.5]]


def test_sparse_weights_run() -> None:
    # a 1x1 convolution whose (out 2, 1, 1, in 4) weight is stored in rows
    levels = [dense_level(2), dense_level(1), dense_level(1), sparse_level([0, 1, 3], [2, 0, 3])]
    sparsity = {1: {0: np.asarray([0, 1, 2, 3], "<i4"), 2: levels}}
    data = model(
        [
            ("x", (1, 1, 1, 4), None),
            ("w", (2, 1, 1, 4), np.asarray([5, 7, 11], np.float16)),
            ("d", (2, 1, 1, 4), None),
            ("f", (2, 1, 1, 4), None),
            ("y", (1, 1, 1, 2), None),
        ],
        [(124, [1], [2], None), (6, [2], [3], None), (3, [0, 3], [4], {1: ("i", 1), 2: ("i", 1)})],
        [0],
        [4],
        sparsity=sparsity,
    )
    net = GraphNet(parse(data))
    assert net(torch.tensor([1.0, 10.0, 100.0, 1000.0]).reshape(1, 1, 1, 4))[0].flatten().tolist() == [500.0, 11007.0]


@pytest.mark.parametrize("data", [b"", b"not a model at all, but long enough", small_model()[:150]])
def test_unreadable_files(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.tflite").write_bytes(data)
    with pytest.raises(WeightsError, match="cannot read the weights"):
        read(tmp_path / "m.tflite")


def test_unknown_operators_are_refused_when_the_net_is_built(tmp_path: Path) -> None:
    one = [("x", (1, 4), None), ("y", (1, 4), None)]
    (tmp_path / "m.tflite").write_bytes(model(one, [(77, [0], [1], None)], [0], [1]))
    with pytest.raises(WeightsError, match="operator 77 is not known"):
        read(tmp_path / "m.tflite")
    graph = parse(model(one, [("Mystery@1", [0], [1], None)], [0], [1]))
    with pytest.raises(Unsupported, match="CUSTOM:Mystery@1"):
        GraphNet(graph)


@pytest.mark.real
def test_real_models_read() -> None:
    if not weights.available("mediapipe-face"):
        pytest.skip("the weights mediapipe-face are not here")
    folder = weights.path("mediapipe-face")
    shapes = {}
    for file in folder.glob("*.tflite"):
        graph = read(file)
        shapes[file.stem] = {graph.names[n]: graph.shapes[n] for n in graph.outputs}
    assert shapes["face_detection_short_range"] == {"regressors": (1, 896, 16), "classificators": (1, 896, 1)}
    assert shapes["face_landmark_with_attention"]["output_lips"] == (1, 1, 1, 160)
    assert len(shapes["face_landmark_with_attention"]) == 7
    sparse = read(folder / "face_detection_full_range_sparse.tflite")
    assert any((array == 0).mean() > 0.5 for array in sparse.constants.values() if array.ndim == 4)
