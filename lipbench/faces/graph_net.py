"""Runs a model read by `lipbench.faces.tflite` in plain torch, batches included.

Rank-4 tensors are NHWC in the file and NCHW here; they are turned where it matters (reshape, constants) and nowhere
else. What an operator does is TFLite's definition of it (tensorflow/lite/kernels/internal/reference, Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lipbench.core.errors import Unsupported
from lipbench.faces import graph_custom_ops as custom
from lipbench.faces.tflite import Graph, Op, read

Run = Callable[[list[Tensor]], Tensor]
_SAME = 0  # schema.fbs: enum Padding { SAME, VALID }
_ACTIVATIONS: dict[int, Callable[[Tensor], Tensor]] = {0: lambda x: x, 1: F.relu, 3: F.relu6}


class GraphNet(nn.Module):
    """A converted graph.

    Args:
        graph: what `tflite.read` returned.

    Raises:
        Unsupported: an operator, or a form of one, that is not implemented.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph
        self.input_shape = graph.shapes[graph.inputs[0]]  # (1, H, W, C)
        self.ops: list[tuple[Run, Op]] = []
        wanted: dict[int, Tensor] = {}
        for op in graph.ops:
            run, constants = _compile(op, graph)
            self.ops.append((run, op))
            wanted.update(constants)
        for number, value in wanted.items():
            self.register_buffer(f"c{number}", value)
        self._constants = tuple(wanted)
        # Activations are dropped after their last use: a batch of 32 would otherwise keep every layer of every face.
        last = {number: i for i, op in enumerate(graph.ops) for number in op.inputs}
        keep = {*wanted, *graph.outputs}
        self._drop: list[list[int]] = [[] for _ in graph.ops]
        for number, i in last.items():
            if number >= 0 and number not in keep:
                self._drop[i].append(number)

    @classmethod
    def load(cls, path: str | Path) -> GraphNet:
        """The net in a .tflite file, in eval mode.

        Raises:
            WeightsError: not a readable model.
            Unsupported: it has operators that are not implemented.
        """
        return cls(read(path)).eval()

    @torch.inference_mode()
    def forward(self, x: Tensor) -> list[Tensor]:
        """x (N, H, W, C) float32 -> the model's outputs in the file's order, rank-4 ones as (N, H, W, C)."""
        values: dict[int, Tensor] = {number: self.get_buffer(f"c{number}") for number in self._constants}
        values[self.graph.inputs[0]] = x.permute(0, 3, 1, 2)
        for (run, op), dropped in zip(self.ops, self._drop, strict=True):
            values[op.outputs[0]] = run([values[number] for number in op.inputs if number in values])
            for number in dropped:
                values.pop(number, None)
        return [_to_nhwc(values[number]) for number in self.graph.outputs]


def _to_nhwc(x: Tensor) -> Tensor:
    return x.permute(0, 2, 3, 1) if x.dim() == 4 else x


def _compile(op: Op, graph: Graph) -> tuple[Run, dict[int, Tensor]]:
    """A closure that runs the operator on its inputs, and the constants it wants as inputs.

    Constants that only steer (sizes, paddings) are read here and are not inputs of the closure.
    """
    if len(op.outputs) != 1:
        raise Unsupported(f"cannot run {op.kind} with {len(op.outputs)} outputs", "", "use the pinned models")
    constants = {number: graph.constants[number] for number in op.inputs if number in graph.constants}
    builder = _BUILDERS.get(op.kind) or custom.BUILDERS.get(op.kind)
    if builder is None:
        raise Unsupported(f"the model uses the operator {op.kind}", "it is not implemented", "use the pinned models")
    built: tuple[Run, dict[int, Tensor]] = builder(op, graph, constants)
    return built


def _tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _activation(op: Op) -> Callable[[Tensor], Tensor]:
    code = op.options.get("activation", 0)
    if code not in _ACTIVATIONS:
        raise Unsupported(f"{op.kind} with fused activation {code}", "it is not implemented", "use the pinned models")
    return _ACTIVATIONS[code]


def same_padding(size: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> tuple[int, int, int, int]:
    """TFLite's SAME padding as F.pad's (left, right, top, bottom); the odd pixel goes right and down."""
    down = max((-(-size[0] // stride[0]) - 1) * stride[0] + kernel[0] - size[0], 0)
    across = max((-(-size[1] // stride[1]) - 1) * stride[1] + kernel[1] - size[1], 0)
    return across // 2, across - across // 2, down // 2, down - down // 2


def _image_size(op: Op, graph: Graph) -> tuple[int, int]:
    _, height, width, _ = graph.shapes[op.inputs[0]]
    return height, width


def _conv(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    weight = _tensor(constants[op.inputs[1]])
    # conv: (out, kh, kw, in) -> (out, in, kh, kw); depthwise: (1, kh, kw, in * m) -> (in * m, 1, kh, kw)
    weight = weight.permute(3, 0, 1, 2).contiguous() if depthwise else weight.permute(0, 3, 1, 2).contiguous()
    bias = _tensor(constants[op.inputs[2]]) if len(op.inputs) > 2 and op.inputs[2] >= 0 else None
    o, act = op.options, _activation(op)
    stride, dilation = (o["stride_h"], o["stride_w"]), (o["dilation_h"], o["dilation_w"])
    groups = graph.shapes[op.inputs[0]][3] if depthwise else 1
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    pad = same_padding(_image_size(op, graph), reach, stride) if o["padding"] == _SAME else (0, 0, 0, 0)
    even = pad[0] == pad[1] and pad[2] == pad[3]

    def run(x: list[Tensor]) -> Tensor:
        image = x[0] if even else F.pad(x[0], pad)
        padding = (pad[2], pad[0]) if even else 0
        return act(F.conv2d(image, x[1], x[2] if len(x) > 2 else None, stride, padding, dilation, groups))

    wanted = {op.inputs[1]: weight} | ({} if bias is None else {op.inputs[2]: bias})
    return run, wanted


def _binary(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    act, wanted = _activation(op), {}
    rank = max(len(graph.shapes[number]) for number in op.inputs)
    for number, value in constants.items():
        tensor = _tensor(value)
        if rank == 4 and tensor.dim() in (1, 4):  # (C,) and NHWC constants meet NCHW activations
            tensor = tensor.reshape(1, -1, 1, 1) if tensor.dim() == 1 else tensor.permute(0, 3, 1, 2).contiguous()
        wanted[number] = tensor
    add = op.kind == "ADD"
    return (lambda x: act(x[0] + x[1] if add else x[0] * x[1])), wanted


def _prelu(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    slope, channels = constants[op.inputs[1]], graph.shapes[op.inputs[0]][-1]
    if slope.size != channels:
        raise Unsupported("PRELU with a slope per pixel", "it is not implemented", "use the pinned models")
    return (lambda x: F.prelu(x[0], x[1])), {op.inputs[1]: _tensor(slope.reshape(-1))}


def _pool(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    o, act = op.options, _activation(op)
    kernel, stride = (o["height"], o["width"]), (o["stride_h"], o["stride_w"])
    pad = same_padding(_image_size(op, graph), kernel, stride) if o["padding"] == _SAME else (0, 0, 0, 0)
    if op.kind == "MAX_POOL_2D":
        edge = any(pad)
        return (lambda x: act(F.max_pool2d(F.pad(x[0], pad, value=-torch.inf) if edge else x[0], kernel, stride))), {}
    if any(pad):
        raise Unsupported("AVERAGE_POOL_2D over padding", "it is not implemented", "use the pinned models")
    return (lambda x: act(F.avg_pool2d(x[0], kernel, stride))), {}


def _pad(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    _, (top, bottom), (left, right), (front, back) = constants[op.inputs[1]].tolist()
    return (lambda x: F.pad(x[0], (left, right, top, bottom, front, back))), {}


def _resize(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    size, corners = constants[op.inputs[1]].tolist(), bool(op.options["align_corners"])
    if not corners and not op.options["half_pixel_centers"]:
        raise Unsupported("RESIZE_BILINEAR without half pixel centers", "not implemented", "use the pinned models")
    return (lambda x: F.interpolate(x[0], size=size, mode="bilinear", align_corners=corners)), {}


def _reshape(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    shape = graph.shapes[op.outputs[0]][1:]

    def run(x: list[Tensor]) -> Tensor:
        y = _to_nhwc(x[0]).reshape(-1, *shape)
        return y.permute(0, 3, 1, 2) if y.dim() == 4 else y

    return run, {}


def _concatenate(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    rank, act = len(graph.shapes[op.outputs[0]]), _activation(op)
    axis = op.options["axis"] % rank
    axis = (0, 2, 3, 1)[axis] if rank == 4 else axis  # where each NHWC axis went
    return (lambda x: act(torch.cat(x, axis))), {}


def _depth_to_space(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    b = op.options["block"]

    def run(x: list[Tensor]) -> Tensor:
        n, c, h, w = x[0].shape
        # TFLite counts channels as (row in block, column in block, channel); torch's pixel_shuffle as (channel, ...)
        return (
            x[0].reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)
        )

    return run, {}


def _strided_slice(op: Op, graph: Graph, constants: dict[int, Any]) -> tuple[Run, dict[int, Tensor]]:
    o = op.options
    if o["ellipsis_mask"] or o["new_axis_mask"] or o["shrink_axis_mask"]:
        raise Unsupported("STRIDED_SLICE that changes the rank", "it is not implemented", "use the pinned models")
    begin, end, step = (constants[number].tolist() for number in op.inputs[1:4])
    slices = [
        slice(None if o["begin_mask"] >> i & 1 else begin[i], None if o["end_mask"] >> i & 1 else end[i], step[i])
        for i in range(len(begin))
    ]
    if len(slices) == 4:
        slices = [slices[0], slices[3], slices[1], slices[2]]
    index = (slice(None), *slices[1:])  # the batch is not the file's: all of it
    return (lambda x: x[0][index]), {}


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[..., tuple[Run, dict[int, Tensor]]]:
    return lambda op, graph, constants: ((lambda x: function(x[0])), {})


_BUILDERS: dict[str, Callable[..., tuple[Run, dict[int, Tensor]]]] = {
    "ADD": _binary,
    "MUL": _binary,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "PRELU": _prelu,
    "MAX_POOL_2D": _pool,
    "AVERAGE_POOL_2D": _pool,
    "PAD": _pad,
    "RESIZE_BILINEAR": _resize,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenate,
    "DEPTH_TO_SPACE": _depth_to_space,
    "STRIDED_SLICE": _strided_slice,
    "RELU": _unary(F.relu),
    "RELU6": _unary(F.relu6),
    "LOGISTIC": _unary(torch.sigmoid),
    "HARD_SWISH": _unary(F.hardswish),
}
