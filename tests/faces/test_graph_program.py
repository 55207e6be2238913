"""Compiled face nets answer what the same graphs do in torch; what they cannot do they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from lipbench.core import weights
from lipbench.core.errors import Unsupported
from lipbench.faces.graph_net import GraphNet
from lipbench.faces.graph_program import GraphProgram
from lipbench.faces.tflite import Graph, Op, read

CONV = {"padding": 0, "stride_h": 1, "stride_w": 1, "activation": 0, "dilation_h": 1, "dilation_w": 1}


class Building:
    """A graph, operator by operator; values are numbers, 0 is the image."""

    def __init__(self, h: int, w: int, c: int, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.shapes: dict[int, tuple[int, ...]] = {0: (1, h, w, c)}
        self.constants: dict[int, np.ndarray] = {}
        self.ops: list[Op] = []

    def constant(self, value: Any) -> int:
        number = len(self.shapes)
        self.constants[number] = np.asarray(value)
        self.shapes[number] = self.constants[number].shape
        return number

    def floats(self, *shape: int) -> int:
        return self.constant((self.rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32))

    def op(self, kind: str, inputs: tuple[int, ...], shape: tuple[int, ...], **options: Any) -> int:
        number = len(self.shapes)
        self.shapes[number] = shape
        self.ops.append(Op(kind, inputs, (number,), options))
        return number

    def conv(self, x: int, out: int, k: int = 1, stride: int = 1, valid: bool = False, **options: Any) -> int:
        _, h, w, c = self.shapes[x]
        size = [(n - k) // stride + 1 if valid else -(-n // stride) for n in (h, w)]
        more = {"stride_h": stride, "stride_w": stride, "padding": int(valid), **options}
        return self.op("CONV_2D", (x, self.floats(out, k, k, c), self.floats(out)), (1, *size, out), **CONV | more)

    def depthwise(self, x: int, stride: int = 1, valid: bool = False) -> int:
        _, h, w, c = self.shapes[x]
        size = [(n - 3) // stride + 1 if valid else -(-n // stride) for n in (h, w)]
        more = {"stride_h": stride, "stride_w": stride, "padding": int(valid)}
        weight = self.constant(self.rng.normal(size=(1, 3, 3, c)).astype(np.float32))
        return self.op("DEPTHWISE_CONV_2D", (x, weight, self.floats(c)), (1, *size, c), **CONV | more)

    def pad(self, x: int, rows: tuple[int, int], columns: tuple[int, int], channels: int) -> int:
        _, h, w, c = self.shapes[x]
        pads = self.constant(np.asarray([(0, 0), rows, columns, (0, channels)], np.int32))
        return self.op("PAD", (x, pads), (1, h + sum(rows), w + sum(columns), c + channels))

    def add(self, a: int, b: int, activation: int = 0) -> int:
        return self.op("ADD", (a, b), self.shapes[a], activation=activation)

    def prelu(self, x: int) -> int:
        return self.op("PRELU", (x, self.floats(1, 1, self.shapes[x][3])), self.shapes[x])

    def graph(self, *outputs: int) -> Graph:
        return Graph(tuple(self.ops), (0,), outputs, self.shapes, {}, self.constants)


def check(graph: Graph, atol: float = 2e-5) -> None:
    shape = graph.shapes[0]
    x = np.random.default_rng(1).normal(size=(2, *shape[1:])).astype(np.float32)
    program = GraphProgram(graph)
    for _ in range(2):  # nothing of one call is left in the next
        for found, wanted in zip(program(x), GraphNet(graph)(torch.from_numpy(x)), strict=True):
            assert found.shape == tuple(wanted.shape)
            np.testing.assert_allclose(found, wanted.numpy(), atol=atol)


@pytest.mark.parametrize("size", [(5, 6), (8, 8), (20, 24), (40, 26)])
@pytest.mark.parametrize(("k", "stride", "valid"), [(1, 1, False), (3, 2, False), (3, 1, True), (5, 2, False)])
def test_convolutions(size: tuple[int, int], k: int, stride: int, valid: bool) -> None:
    b = Building(*size, 3)
    wide = b.conv(0, 9, k, stride, valid)
    check(b.graph(wide, b.conv(wide, 6, 1)))


@pytest.mark.parametrize("size", [(4, 4), (9, 12), (24, 20)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("valid", [False, True])
def test_depthwise(size: tuple[int, int], stride: int, valid: bool) -> None:
    b = Building(*size, 5)
    check(b.graph(b.depthwise(0, stride, valid)))


@pytest.mark.parametrize("code", [0, 1, 3])
def test_fused_and_following_activations(code: int) -> None:
    b = Building(12, 12, 4)
    x = b.conv(0, 8, 3, activation=code)
    follows = b.op("RELU6", (b.conv(x, 8),), (1, 12, 12, 8))
    alone = b.op("RELU", (b.depthwise(follows),), (1, 12, 12, 8))
    check(b.graph(x, alone, b.prelu(b.depthwise(alone)), b.prelu(b.conv(alone, 5))))


def test_a_residual_block_with_more_channels_than_its_shortcut() -> None:
    b = Building(16, 16, 4)
    x = b.prelu(b.conv(0, 6, 3))
    pooled = b.op("MAX_POOL_2D", (x,), (1, 8, 8, 6), padding=1, stride_h=2, stride_w=2, height=2, width=2, activation=0)
    shortcut = b.pad(pooled, (0, 0), (0, 0), 3)
    deep = b.conv(b.depthwise(x, 2), 9)
    y = b.prelu(b.add(shortcut, deep))
    both = b.add(y, b.conv(y, 9), activation=1)
    check(b.graph(both, b.add(both, both)))


def test_a_value_that_others_need_is_not_swallowed() -> None:
    b = Building(8, 10, 3)
    x = b.conv(0, 7)
    y = b.prelu(x)
    check(b.graph(b.add(x, y), b.add(b.conv(x, 7), b.conv(y, 7))))
    c = Building(8, 10, 3)
    asked = c.conv(0, 4)
    check(c.graph(asked, c.prelu(asked)))


@pytest.mark.parametrize(("rows", "columns"), [((1, 1), (1, 1)), ((0, 1), (2, 0))])
def test_padding_before_convolutions(rows: tuple[int, int], columns: tuple[int, int]) -> None:
    b = Building(14, 12, 6)
    x = b.pad(b.conv(0, 5, 3), rows, columns, 0)
    check(b.graph(b.conv(x, 8, 3, valid=True), b.depthwise(x, 2, valid=True), b.conv(x, 8, 3, 2)))


def test_answers_of_detectors() -> None:
    b = Building(6, 8, 3)
    x = b.conv(0, 8, 3)
    big = b.op("RESIZE_BILINEAR", (x, b.constant([12, 16])), (1, 12, 16, 8), align_corners=0, half_pixel_centers=1)
    spread = b.op("DEPTH_TO_SPACE", (x,), (1, 12, 16, 2), block=2)
    rows = [b.op("RESHAPE", (spread,), (1, 96, 4)), b.op("RESHAPE", (b.conv(x, 4),), (1, 48, 4))]
    check(b.graph(b.add(big, b.conv(big, 8)), b.op("CONCATENATION", tuple(rows), (1, 144, 4), axis=1, activation=0)))


def second_look(turned: float) -> Graph:
    """Points from the image, a patch around some of them, points in the patch, and back, as the attention mesh does."""
    b = Building(24, 24, 4)
    features = b.conv(0, 6, 3)
    flat = b.conv(b.conv(0, 30, 24, valid=True), 30)
    points = b.op("RESHAPE", (flat,), (1, 10, 3))
    points = b.op("MUL", (points, b.constant(np.float32([2.0]))), (1, 10, 3), activation=0)
    options = {"left_rotation_idx": 0, "right_rotation_idx": 7, "target_rotation_radians": turned}
    size = {"output_height": 6, "output_width": 8, "scale_x": 1.5, "scale_y": 1.25, "subset_idxs": [2, 3, 5, 9]}
    matrix = b.op("CUSTOM:Landmarks2TransformMatrix@2", (points,), (1, 4, 4), **options, **size)
    patch = b.op("CUSTOM:TransformTensorBilinear@2", (features, matrix), (1, 6, 8, 6), **size)
    there = b.op("RESHAPE", (b.conv(b.conv(patch, 4, 6, valid=True), 1),), (1, 3, 1))
    there = b.op("RESHAPE", (b.conv(b.conv(patch, 10, 6, valid=True), 2),), (1, 3, 2))
    scaled = b.op("MUL", (matrix, b.constant(np.full((1, 4, 4), 0.5, np.float32))), (1, 4, 4), activation=0)
    back = b.op("CUSTOM:TransformLandmarks@2", (there, scaled), (1, 3, 2))
    return b.graph(patch, points, back)


@pytest.mark.parametrize("turned", [0.0, 1.2])
def test_second_looks(turned: float) -> None:
    check(second_look(turned), atol=2e-4)


@pytest.mark.parametrize("what", ["LOGISTIC", "PRELU", "holes", "activation 4"])
def test_what_is_not_implemented_is_refused(what: str) -> None:
    b = Building(8, 8, 3)
    if what == "LOGISTIC":
        b.op("LOGISTIC", (0,), (1, 8, 8, 3))
    elif what == "PRELU":
        b.op("PRELU", (0, b.floats(8, 8, 3)), (1, 8, 8, 3))
    elif what == "holes":
        b.conv(0, 4, 3, dilation_h=2)
    else:
        b.conv(0, 4, activation=4)
    with pytest.raises(Unsupported, match=what):
        GraphProgram(b.graph(b.ops[-1].outputs[0]))


@pytest.mark.real
@pytest.mark.parametrize(
    "file",
    [
        "face_landmark_with_attention.tflite",
        "face_detection_short_range.tflite",
        "face_detection_full_range_sparse.tflite",
    ],
)
def test_the_pinned_nets(file: str) -> None:
    if not weights.available("mediapipe-face"):
        pytest.skip("the weights mediapipe-face are not here")
    graph = read(weights.path("mediapipe-face") / file)
    check(graph, atol=1e-3)  # of points in a crop of 192 px, and of boxes
