"""Every operator of the graph executor against a naive form in the file's own NHWC order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from lipbench.core.errors import Unsupported
from lipbench.faces.graph_net import GraphNet
from lipbench.faces.tflite import Graph, Op

RNG = np.random.default_rng(7)


def run(
    kind: str,
    x: np.ndarray,
    constants: list[np.ndarray],
    out_shape: tuple[int, ...],
    options: dict[str, Any] | None = None,
) -> np.ndarray:
    """One operator on x (N, ...) and constants."""
    arrays = {i + 1: np.asarray(c) for i, c in enumerate(constants)}
    out = len(arrays) + 1
    shapes = {0: (1, *x.shape[1:]), **{i: a.shape for i, a in arrays.items()}, out: (1, *out_shape[1:])}
    op = Op(kind, tuple(range(out)), (out,), options or {})
    graph = Graph((op,), (0,), (out,), shapes, {}, arrays)
    # forward takes images; other ranks enter through the same door, unturned
    net = GraphNet(graph)
    if x.ndim == 4:
        return net(torch.from_numpy(x))[0].numpy()
    values = [torch.from_numpy(x), *(net.get_buffer(f"c{i}") for i in arrays if f"c{i}" in dict(net.named_buffers()))]
    with torch.inference_mode():
        return net.ops[0][0](values).numpy()


def image(n: int = 2, h: int = 5, w: int = 6, c: int = 3) -> np.ndarray:
    return RNG.normal(size=(n, h, w, c)).astype(np.float32)


def same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """(output size, pixels of padding before)"""
    out = math.ceil(size / stride)
    return out, max((out - 1) * stride + kernel - size, 0) // 2


def naive_conv(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, stride: tuple[int, int], valid: bool, depthwise: bool
):
    """weight (out, kh, kw, in), or (1, kh, kw, in * m) depthwise."""
    n, h, w, c = x.shape
    kh, kw = weight.shape[1:3]
    outs = weight.shape[3] if depthwise else weight.shape[0]
    if valid:
        (oh, ph), (ow, pw) = ((h - kh) // stride[0] + 1, 0), ((w - kw) // stride[1] + 1, 0)
    else:
        (oh, ph), (ow, pw) = same(h, kh, stride[0]), same(w, kw, stride[1])
    y = np.zeros((n, oh, ow, outs), np.float64)
    for i in range(oh):
        for j in range(ow):
            for a in range(kh):
                for b in range(kw):
                    r, s = i * stride[0] + a - ph, j * stride[1] + b - pw
                    if 0 <= r < h and 0 <= s < w:
                        for o in range(outs):
                            if depthwise:
                                y[:, i, j, o] += x[:, r, s, o // (outs // c)] * weight[0, a, b, o]
                            else:
                                y[:, i, j, o] += x[:, r, s] @ weight[o, a, b]
    return y + bias


CONV = {"activation": 0, "dilation_h": 1, "dilation_w": 1}


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (2, 1)])
@pytest.mark.parametrize("size", [(5, 6), (6, 8)])
@pytest.mark.parametrize("depthwise", [False, True])
def test_convolution(padding: int, stride: tuple[int, int], size: tuple[int, int], depthwise: bool) -> None:
    x = image(2, *size, 3)
    shape = (1, 3, 3, 6) if depthwise else (4, 3, 3, 3)
    weight, bias = RNG.normal(size=shape).astype(np.float32), RNG.normal(size=shape[3 if depthwise else 0])
    expected = naive_conv(x, weight, bias, stride, padding == 1, depthwise)
    kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    options = CONV | {"padding": padding, "stride_h": stride[0], "stride_w": stride[1]}
    found = run(kind, x, [weight, bias.astype(np.float32)], expected.shape, options)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(("code", "low", "high"), [(0, -1e9, 1e9), (1, 0, 1e9), (3, 0, 6)])
def test_fused_activations(code: int, low: float, high: float) -> None:
    x = image() * 5
    weight = np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)
    options = CONV | {"padding": 0, "stride_h": 1, "stride_w": 1, "activation": code}
    found = run("CONV_2D", x, [weight, np.zeros(3, np.float32)], x.shape, options)
    np.testing.assert_allclose(found, np.clip(x, low, high), atol=1e-6)


def test_unknown_activation_is_refused() -> None:
    with pytest.raises(Unsupported, match="activation 4"):
        run("ADD", image(), [np.ones(3, np.float32)], (2, 5, 6, 3), {"activation": 4})


@pytest.mark.parametrize("kind", ["ADD", "MUL"])
@pytest.mark.parametrize("shape", [(3,), (1, 1, 1, 3), (1, 5, 6, 3)])
def test_elementwise_with_constants(kind: str, shape: tuple[int, ...]) -> None:
    x, constant = image(), RNG.normal(size=shape).astype(np.float32)
    expected = x + constant if kind == "ADD" else x * constant
    np.testing.assert_allclose(run(kind, x, [constant], x.shape, {"activation": 0}), expected, atol=1e-6)


def test_pointwise() -> None:
    x = image() * 4
    slope = np.asarray([0.1, 0.5, -0.3], np.float32).reshape(1, 1, 3)
    np.testing.assert_allclose(run("PRELU", x, [slope], x.shape), np.where(x > 0, x, x * slope), atol=1e-6)
    np.testing.assert_allclose(run("RELU", x, [], x.shape), np.maximum(x, 0))
    np.testing.assert_allclose(run("RELU6", x, [], x.shape), np.clip(x, 0, 6))
    np.testing.assert_allclose(run("LOGISTIC", x, [], x.shape), 1 / (1 + np.exp(-x)), atol=1e-6)
    np.testing.assert_allclose(run("HARD_SWISH", x, [], x.shape), x * np.clip(x + 3, 0, 6) / 6, atol=1e-5)
    with pytest.raises(Unsupported, match="slope per pixel"):
        run("PRELU", x, [np.ones((5, 6, 3), np.float32)], x.shape)


@pytest.mark.parametrize(("padding", "size"), [(0, (5, 7)), (1, (6, 8)), (0, (6, 8))])
def test_max_pool(padding: int, size: tuple[int, int]) -> None:
    x = image(2, *size, 3) - 5  # below zero: padding must never win
    out, before = zip(*(same(s, 2, 2) if padding == 0 else (s // 2, 0) for s in size), strict=True)
    expected = np.full((2, *out, 3), -np.inf)
    for i in range(out[0]):
        for j in range(out[1]):
            r, s = i * 2 - before[0], j * 2 - before[1]
            expected[:, i, j] = x[:, max(r, 0) : r + 2, max(s, 0) : s + 2].max((1, 2))
    options = {"padding": padding, "stride_h": 2, "stride_w": 2, "height": 2, "width": 2, "activation": 0}
    np.testing.assert_allclose(run("MAX_POOL_2D", x, [], expected.shape, options), expected)


def test_average_pool() -> None:
    x = image(2, 4, 6, 3)
    options = {"padding": 1, "stride_h": 4, "stride_w": 6, "height": 4, "width": 6, "activation": 0}
    expected = x.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(run("AVERAGE_POOL_2D", x, [], expected.shape, options), expected, atol=1e-6)
    with pytest.raises(Unsupported, match="over padding"):
        run("AVERAGE_POOL_2D", image(1, 5, 5, 1), [], (1, 3, 3, 1), options | {"padding": 0, "height": 2, "width": 2})


def test_pad_channels_and_edges() -> None:
    x = image()
    pads = np.asarray([[0, 0], [1, 2], [0, 3], [0, 4]], np.int32)
    np.testing.assert_array_equal(run("PAD", x, [pads], (2, 8, 9, 7)), np.pad(x, pads))


def test_resize_bilinear_is_half_pixel() -> None:
    cv2 = pytest.importorskip("cv2")
    x = image(1, 4, 5, 2)
    options = {"align_corners": 0, "half_pixel_centers": 1}
    found = run("RESIZE_BILINEAR", x, [np.asarray([8, 10], np.int32)], (1, 8, 10, 2), options)
    np.testing.assert_allclose(found[0], cv2.resize(x[0], (10, 8), interpolation=cv2.INTER_LINEAR), atol=1e-5)
    with pytest.raises(Unsupported, match="half pixel"):
        run("RESIZE_BILINEAR", x, [np.asarray([8, 10], np.int32)], (1, 8, 10, 2), options | {"half_pixel_centers": 0})


def test_reshape_reads_in_file_order() -> None:
    x = image(2, 2, 3, 4)
    np.testing.assert_array_equal(run("RESHAPE", x, [], (2, 6, 4)), x.reshape(2, 6, 4))
    np.testing.assert_array_equal(run("RESHAPE", x, [], (2, 12, 2)), x.reshape(2, 12, 2))
    flat = RNG.normal(size=(2, 6, 4)).astype(np.float32)
    back = run("RESHAPE", flat, [], (2, 2, 3, 4))  # stays turned inside the graph
    np.testing.assert_array_equal(back.transpose(0, 2, 3, 1), flat.reshape(2, 2, 3, 4))


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concatenation(axis: int) -> None:
    a = image()
    graph = Graph(
        (
            Op("ADD", (0, 1), (2,), {"activation": 0}),
            Op("CONCATENATION", (0, 2), (3,), {"axis": axis, "activation": 0}),
        ),
        (0,),
        (3,),
        {0: (1, 5, 6, 3), 1: (3,), 2: (1, 5, 6, 3), 3: (1, 0, 0, 0)},
        {},
        {1: np.ones(3, np.float32)},
    )
    found = GraphNet(graph)(torch.from_numpy(a))[0].numpy()
    np.testing.assert_allclose(found, np.concatenate([a, a + 1], axis), atol=1e-6)


def test_depth_to_space() -> None:
    x = image(2, 2, 3, 8)
    expected = np.zeros((2, 4, 6, 2), np.float32)
    for i in range(4):
        for j in range(6):
            for c in range(2):
                expected[:, i, j, c] = x[:, i // 2, j // 2, (i % 2 * 2 + j % 2) * 2 + c]
    np.testing.assert_array_equal(run("DEPTH_TO_SPACE", x, [], expected.shape, {"block": 2}), expected)


def test_strided_slice() -> None:
    x = image(2, 6, 7, 4)
    masks = {"begin_mask": 0, "end_mask": 0b0010, "ellipsis_mask": 0, "new_axis_mask": 0, "shrink_axis_mask": 0}
    begin, end, step = ([0, 2, 1, 0], [1, 3, 6, 3], [1, 1, 2, 1])
    constants = [np.asarray(v, np.int32) for v in (begin, end, step)]
    found = run("STRIDED_SLICE", x, constants, (2, 4, 3, 3), masks)
    np.testing.assert_array_equal(found, x[:, 2:, 1:6:2, 0:3])
    with pytest.raises(Unsupported, match="rank"):
        run("STRIDED_SLICE", x, constants, (2, 4, 3, 3), masks | {"shrink_axis_mask": 1})


def test_transpose_convolution() -> None:
    x = image(2, 3, 4, 5)
    weight, bias = RNG.normal(size=(2, 2, 2, 5)).astype(np.float32), np.asarray([0.5, -1], np.float32)
    expected = np.zeros((2, 6, 8, 2))
    for i in range(6):
        for j in range(8):
            expected[:, i, j] = x[:, i // 2, j // 2] @ weight[:, i % 2, j % 2].T + bias
    options = {"padding": 1, "stride_w": 2, "stride_h": 2}
    found = run("CUSTOM:Convolution2DTransposeBias@1", x, [weight, bias], expected.shape, options)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(Unsupported, match="overlap"):
        run(
            "CUSTOM:Convolution2DTransposeBias@1", x, [np.ones((2, 3, 3, 5), np.float32), bias], expected.shape, options
        )


# -- MediaPipe's custom operators, point by point as their C++ states them ------------------------------------------


def naive_matrix(points: np.ndarray, o: dict[str, Any]) -> np.ndarray:
    left, right = points[o["left_rotation_idx"], :2], points[o["right_rotation_idx"], :2]
    turn = o["target_rotation_radians"] - math.atan2(right[1] - left[1], right[0] - left[0])

    def rotation(angle: float) -> np.ndarray:
        return np.asarray([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])

    turned = np.asarray([rotation(turn) @ points[k, :2] for k in o["subset_idxs"]])
    low, high = turned.min(0), turned.max(0)
    center = rotation(-turn) @ ((low + high) / 2)
    scale = np.diag(
        [o["scale_x"] * (high - low)[0] / o["output_width"], o["scale_y"] * (high - low)[1] / o["output_height"]]
    )
    linear = rotation(-turn) @ scale
    matrix = np.eye(4)
    matrix[:2, :2] = linear
    matrix[:2, 3] = center + linear @ [-o["output_width"] / 2, -o["output_height"] / 2]
    return matrix


PATCH = {
    "left_rotation_idx": 3,
    "right_rotation_idx": 8,
    "subset_idxs": [1, 3, 4, 8, 9],
    "output_width": 8,
    "output_height": 6,
    "scale_x": 1.5,
    "scale_y": 1.25,
    "target_rotation_radians": 0.1,
}


def test_landmarks_to_matrix() -> None:
    points = RNG.uniform(0, 40, (3, 12, 3)).astype(np.float32)
    found = run("CUSTOM:Landmarks2TransformMatrix@2", points, [], (3, 4, 4), PATCH)
    np.testing.assert_allclose(found, [naive_matrix(p, PATCH) for p in points], atol=1e-4)


def test_patch_is_level_and_holds_its_points() -> None:
    points = RNG.uniform(0, 40, (1, 12, 3)).astype(np.float32)
    options = PATCH | {"target_rotation_radians": 0.0}
    matrix = run("CUSTOM:Landmarks2TransformMatrix@2", points, [], (1, 4, 4), options)[0]
    inverse = np.linalg.inv(matrix)
    inside = points[0, options["subset_idxs"], :2] @ inverse[:2, :2].T + inverse[:2, 3]
    margin = 8 * (1 - 1 / 1.5) / 2, 6 * (1 - 1 / 1.25) / 2
    np.testing.assert_allclose(inside.min(0), margin, atol=1e-3)
    np.testing.assert_allclose(inside.max(0), (8 - margin[0], 6 - margin[1]), atol=1e-3)
    left, right = (points[0, k, :2] @ inverse[:2, :2].T for k in (3, 8))
    assert right[1] - left[1] == pytest.approx(0, abs=1e-3)
    assert right[0] > left[0]


def naive_bilinear(features: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    h, w, c = features.shape
    out = np.zeros((*size, c))
    for y in range(size[0]):
        for x in range(size[1]):
            u, v = matrix[:2, :2] @ [x + 0.5, y + 0.5] + matrix[:2, 3] - 0.5
            if not (0 <= u <= w - 1 and 0 <= v <= h - 1):
                continue
            i, j = int(v), int(u)
            a, b = v - i, u - j
            rows, columns = (i, min(i + 1, h - 1)), (j, min(j + 1, w - 1))
            for r, p in zip(rows, (1 - a, a), strict=True):
                for s, q in zip(columns, (1 - b, b), strict=True):
                    out[y, x] += p * q * features[r, s]
    return out


def test_transform_bilinear() -> None:
    x = image(1, 7, 9, 3)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:2, :2] = [[0.9, 0.3], [-0.4, 1.1]]
    matrix[:2, 3] = [1.2, 2.7]
    graph = Graph(
        (Op("CUSTOM:TransformTensorBilinear@2", (0, 1), (2,), {"output_width": 8, "output_height": 6}),),
        (0,),
        (2,),
        {0: (1, 7, 9, 3), 1: (1, 4, 4), 2: (1, 6, 8, 3)},
        {},
        {},
    )
    with torch.inference_mode():
        nchw = torch.from_numpy(x).permute(0, 3, 1, 2)
        found = GraphNet(graph).ops[0][0]([nchw, torch.from_numpy(matrix[None])]).permute(0, 2, 3, 1).numpy()
    expected = naive_bilinear(x[0], matrix, (6, 8))
    assert (expected == 0).all(-1).any()  # some of the patch lies outside
    np.testing.assert_allclose(found[0], expected, atol=1e-5)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_transform_landmarks(dimensions: int) -> None:
    points = RNG.normal(size=(2, 5, dimensions)).astype(np.float32)
    matrix = RNG.normal(size=(2, 4, 4)).astype(np.float32)
    op = Op("CUSTOM:TransformLandmarks@2", (0, 1), (2,), {})
    graph = Graph((op,), (0,), (2,), {0: (1, 5, dimensions), 1: (1, 4, 4), 2: (1, 5, dimensions)}, {}, {})
    with torch.inference_mode():
        found = GraphNet(graph).ops[0][0]([torch.from_numpy(points), torch.from_numpy(matrix)]).numpy()
    for n in range(2):
        expected = points[n, :, :2] @ matrix[n, :2, :2].T + matrix[n, :2, 3]
        np.testing.assert_allclose(found[n, :, :2], expected, atol=1e-5)
        np.testing.assert_array_equal(found[n, :, 2:], points[n, :, 2:])


def test_activations_are_dropped_but_outputs_stay() -> None:
    ops = tuple(Op("RELU", (k,), (k + 1,), {}) for k in range(4))
    graph = Graph(ops, (0,), (2, 4), dict.fromkeys(range(5), (1, 2, 2, 1)), {}, {})
    x = image(1, 2, 2, 1)
    two, four = GraphNet(graph)(torch.from_numpy(x))
    np.testing.assert_array_equal(two.numpy(), np.maximum(x, 0))
    np.testing.assert_array_equal(four.numpy(), np.maximum(x, 0))
