"""A face net's graph as a list of compiled steps: what `graph_net` runs in torch, faster, on one CPU thread.

The answers are those of `GraphNet` but for the order of sums. A convolution takes along what follows it alone: padding
before, the sum with another branch and the activation after.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import Unsupported
from lipbench.faces import graph_kernels as kernels
from lipbench.faces.graph_net import same_padding
from lipbench.faces.tflite import Graph, Op, read

Array = NDArray[np.float32]
Step = tuple[Callable[..., Any], tuple[Any, ...]]
Ending = tuple[Array, Array, np.float32]  # what is added, slope and limit of the activation
_LIMITS = {1: np.float32(np.inf), 3: np.float32(6)}  # schema.fbs: enum ActivationFunctionType { NONE, RELU, .., RELU6 }
_AFTER = {"RELU": 1, "RELU6": 3}


class GraphProgram:
    """A converted graph.

    Args:
        graph: what `tflite.read` returned.

    Attributes:
        input_shape: (1, H, W, C).

    Raises:
        Unsupported: an operator, or a form of one, that face nets do not have; `GraphNet` knows more.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.input_shape = graph.shapes[graph.inputs[0]]
        made = _Compiler(graph)
        self._steps, self._image = made.steps, made.view(graph.inputs[0])
        self._answers = [_in_file_order(made.view(n), graph.shapes[n]) for n in graph.outputs]

    @classmethod
    def load(cls, path: str | Path) -> GraphProgram:
        """The net in a .tflite file.

        Raises:
            WeightsError: not a readable model.
            Unsupported: it has operators that are not implemented.
        """
        return cls(read(path))

    def __call__(self, x: Array) -> list[Array]:
        """x (N, H, W, C) float32 -> the model's outputs in the file's order and layout, (N, ...)."""
        found = [np.empty((len(x), *answer.shape), np.float32) for answer in self._answers]
        for i, image in enumerate(x):
            self._image[:] = image.transpose(2, 0, 1)
            for function, arguments in self._steps:
                function(*arguments)
            for kept, answer in zip(found, self._answers, strict=True):
                kept[i] = answer
        return found


def _in_file_order(values: Array, shape: tuple[int, ...]) -> Array:
    return values.transpose(1, 2, 0) if len(shape) == 4 else values.reshape(shape[1:])


class _Compiler:
    """Lists the steps of a graph and lays its values out in one array.

    Attributes:
        steps: functions with their arguments.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps: list[Step] = []
        sizes = {number: int(np.prod(graph.shapes[number])) for op in graph.ops for number in op.outputs}
        sizes[graph.inputs[0]] = int(np.prod(self.graph.shapes[graph.inputs[0]]))
        self._sizes, self._views = sizes, dict[int, Array]()
        # What is never written costs nothing: only the front is, where values lie that are needed at the same time.
        self._values = np.zeros(sum(sizes.values()), np.float32)
        patches = [graph.constants[op.inputs[1]][0].size for op in graph.ops if op.kind == "CONV_2D"]
        widest = max(shape[2] for shape in graph.shapes.values() if len(shape) == 4)
        self._scratch = np.zeros(max([*patches, widest]) * (kernels.TILE + widest), np.float32)
        self._users: dict[int, list[Op]] = {}
        for op in graph.ops:
            for number in op.inputs:
                self._users.setdefault(number, []).append(op)
        self._padding: dict[int, tuple[int, list[int], list[int]]] = {}
        self._narrow: dict[int, int] = {}  # values padded with channels of zeros -> what they are without
        self._done: set[int] = set()
        self._used: list[tuple[int, int, int]] = []  # first, end and value of the places that are taken
        self.view(graph.inputs[0])
        last = self._last_uses()
        for i, op in enumerate(graph.ops):
            if op.outputs[0] not in self._done:
                self._compile(op)
            self._used = [one for one in self._used if last.get(one[2], len(graph.ops)) > i]

    def _last_uses(self) -> dict[int, int]:
        """Value number -> number of the operator after which nobody needs it; none for what is asked for."""
        last = {number: i for i, op in enumerate(self.graph.ops) for number in op.inputs}
        for op in reversed(self.graph.ops):
            if op.kind == "PAD":  # read without the padding by whoever reads it with
                last[op.inputs[0]] = max(last[op.inputs[0]], last.get(op.outputs[0], 0))
        return {number: i for number, i in last.items() if number not in self.graph.outputs}

    def view(self, number: int) -> Array:
        """A value as planes (C, H, W), or flat in the file's order where it is no image."""
        if number not in self._views:
            at, size = 0, self._sizes[number]
            for first, end, _ in self._used:  # the first gap that is wide enough
                if first - at >= size:
                    break
                at = max(at, end)
            self._used = sorted([*self._used, (at, at + size, number)])
            flat, shape = self._values[at : at + size], self.graph.shapes[number]
            self._views[number] = flat.reshape(shape[3], shape[1], shape[2]) if len(shape) == 4 else flat
        return self._views[number]

    def _compile(self, op: Op) -> None:
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            self._conv(op)
        elif op.kind == "PAD":
            self._pad(op)
        elif op.kind in ("ADD", "PRELU", *_AFTER):
            self._finish(op)
        elif op.kind.startswith("CUSTOM:"):
            self._custom(op)
        else:
            self._rearrange(op)

    def _refuse(self, op: Op, what: str = "") -> Unsupported:
        return Unsupported(f"cannot compile {op.kind}{what}", "face nets have no such step", "use the pinned models")

    def _step(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.steps.append((function, arguments))

    def _planes(self, number: int) -> Array:
        """(C, P)"""
        view = self.view(number)
        return view.reshape(len(view), -1)

    def _only_user(self, number: int) -> Op | None:
        users = self._users.get(number, [])
        return users[0] if len(users) == 1 and number not in self.graph.outputs else None

    def _ending(self, op: Op, added: Array | None = None) -> tuple[int, Ending]:
        """What follows an operator and nothing else needs: the value after it, and how to get there."""
        last, code = op.outputs[0], self._fused(op)
        after = self._only_user(last)
        if (
            added is None
            and not code
            and after is not None
            and after.kind == "ADD"
            and after.inputs[0] != after.inputs[1]
        ):
            other = after.inputs[0] if after.inputs[1] == last else after.inputs[1]
            if self._narrow.get(other, other) in self._views:
                added, last, code = self._planes(self._narrow.get(other, other)), after.outputs[0], self._fused(after)
                self._done.add(last)
                after = self._only_user(last)
        pixels = int(np.prod(self.graph.shapes[last][1:3]))
        added = np.zeros((0, pixels), np.float32) if added is None else added
        if code or after is None or after.kind not in ("PRELU", *_AFTER):
            return last, (added, *self._activation(last, code))
        self._done.add(after.outputs[0])
        return after.outputs[0], (added, *self._activation(after.outputs[0], _AFTER.get(after.kind, 0), after))

    def _fused(self, op: Op) -> int:
        code = int(op.options.get("activation", 0))
        if code and code not in _LIMITS:
            raise self._refuse(op, f" with fused activation {code}")
        return code

    def _activation(self, number: int, code: int, prelu: Op | None = None) -> tuple[Array, np.float32]:
        """Slope below zero and limit above, for a code of the schema or a PRELU."""
        channels = self.graph.shapes[number][3]
        if code:
            return np.zeros(channels, np.float32), _LIMITS[code]
        if prelu is None:
            return np.zeros(0, np.float32), np.float32(np.inf)
        slope = self.graph.constants[prelu.inputs[1]]
        if slope.size != channels:
            raise self._refuse(prelu, " with a slope per pixel")
        return _floats(slope.reshape(-1)), np.float32(np.inf)

    def _conv(self, op: Op) -> None:
        graph, o, depthwise = self.graph, op.options, op.kind == "DEPTHWISE_CONV_2D"
        weight = graph.constants[op.inputs[1]]  # (out, kh, kw, in), or (1, kh, kw, in * m)
        high, wide = weight.shape[1:3]
        src, rows, columns = self._padding.get(op.inputs[0], (op.inputs[0], [0, 0], [0, 0]))
        x, stride, (top, left) = self.view(src), (o["stride_h"], o["stride_w"]), (rows[0], columns[0])
        if (o["dilation_h"], o["dilation_w"]) != (1, 1):
            raise self._refuse(op, " with holes")
        if depthwise and ((high, wide) != (3, 3) or weight.shape[3] != len(x) or o["activation"]):
            raise self._refuse(op, " of another form than 3 x 3, one output a channel")
        if o["padding"] == 0:
            size = (x.shape[1] + sum(rows), x.shape[2] + sum(columns))
            across, _, down, _ = same_padding(size, (high, wide), stride)
            top, left = top + down, left + across
        form = (high, wide, *stride, top, left, graph.shapes[op.outputs[0]][2])
        channels = graph.shapes[op.outputs[0]][3]
        given = len(op.inputs) > 2 and op.inputs[2] >= 0
        bias = _floats(graph.constants[op.inputs[2]]) if given else np.zeros(channels, np.float32)
        if depthwise:
            by_channel = _floats(weight.transpose(3, 0, 1, 2).reshape(channels, 9))
            return self._step(kernels.depthwise, x, by_channel, bias, self.view(op.outputs[0]), form, self._scratch)
        last, ending = self._ending(op)
        flat = _floats(weight.reshape(channels, -1))
        return self._step(kernels.convolve, x, flat, bias, *ending, self._planes(last), form, self._scratch)

    def _pad(self, op: Op) -> None:
        """Nothing is done: whoever reads the value takes what lies around it for zeros."""
        batch, rows, columns, (front, back) = self.graph.constants[op.inputs[1]].tolist()
        users = {user.kind for user in self._users.get(op.outputs[0], [])}
        if any(batch) or front or op.outputs[0] in self.graph.outputs:
            raise self._refuse(op, " of this form")
        if users <= {"ADD"} and not (any(rows) or any(columns)):
            self._narrow[op.outputs[0]] = op.inputs[0]
        elif users <= {"CONV_2D", "DEPTHWISE_CONV_2D"} and not back:
            self._padding[op.outputs[0]] = (op.inputs[0], rows, columns)
        else:
            raise self._refuse(op, " before other steps than sums and convolutions")

    def _finish(self, op: Op) -> None:
        src = op.inputs[0]
        if op.kind == "ADD":
            src, other = sorted(op.inputs, key=lambda number: number in self._narrow)
            if other in self.graph.constants or src in self._narrow:
                raise self._refuse(op, " with a constant")
            last, ending = self._ending(op, self._planes(self._narrow.get(other, other)))
        else:
            last, pixels = op.outputs[0], self._planes(src).shape[1]
            prelu = op if op.kind == "PRELU" else None
            ending = (np.zeros((0, pixels), np.float32), *self._activation(last, _AFTER.get(op.kind, 0), prelu))
        zeros = np.zeros(self.graph.shapes[last][3], np.float32)
        self._step(kernels.finish, self._planes(src), zeros, *ending, self._planes(last))

    def _rearrange(self, op: Op) -> None:
        """Steps that only move values about, and the products of the mesh's answers with constants."""
        graph, o, src, out = self.graph, op.options, op.inputs[0], op.outputs[0]
        x, shape = self.view(src), graph.shapes[out]
        if op.kind == "CONCATENATION" and len(shape) == 3 and o["axis"] == 1 and not o["activation"]:
            parts = np.split(self.view(out), np.cumsum([self._sizes[number] for number in op.inputs])[:-1])
            for number, part in zip(op.inputs, parts, strict=True):
                self._step(np.copyto, part, self.view(number))
        elif op.kind == "MUL" and len(shape) != 4 and op.inputs[1] in graph.constants and not o["activation"]:
            by = _floats(graph.constants[op.inputs[1]].reshape(-1))
            self._step(np.multiply, x, by, self.view(out))
        elif op.kind == "RESHAPE" and (len(shape) != 4 or shape[1] == shape[2] == 1):
            turned = x.transpose(1, 2, 0) if x.ndim == 3 else x
            target = self.view(out).reshape(turned.shape)
            self._step(np.copyto, target, turned)
        elif op.kind == "STRIDED_SLICE" and graph.shapes[src] == shape:
            self._step(np.copyto, self.view(out), x)
        elif op.kind == "DEPTH_TO_SPACE":  # channels are counted as (row in block, column in block, channel)
            b, (c, h, w) = o["block"], x.shape
            spread = x.reshape(b, b, c // b**2, h, w).transpose(2, 3, 0, 4, 1)
            self._step(np.copyto, self.view(out).reshape(spread.shape), spread)
        elif op.kind == "MAX_POOL_2D" and _halves(o, x):
            self._step(kernels.pool, x, self.view(out))
        elif op.kind == "RESIZE_BILINEAR" and o["half_pixel_centers"] and not o["align_corners"]:
            matrix = np.diag([x.shape[2] / shape[2], x.shape[1] / shape[1], 1, 1]).astype(np.float32)
            self._step(kernels.sample, x, matrix, True, self.view(out))
        else:
            raise self._refuse(op, " of this form")

    def _custom(self, op: Op) -> None:
        src, out = self.view(op.inputs[0]), self.view(op.outputs[0])
        if op.kind == "CUSTOM:Landmarks2TransformMatrix@2":
            points = src.reshape(-1, self.graph.shapes[op.inputs[0]][2])
            self._step(kernels.patch_matrix, points, op.options, out.reshape(4, 4))
            return
        matrix = self.view(op.inputs[1]).reshape(4, 4)
        if op.kind == "CUSTOM:TransformTensorBilinear@2":
            self._step(kernels.sample, src, matrix, False, out)
        elif op.kind == "CUSTOM:TransformLandmarks@2":
            columns = self.graph.shapes[op.inputs[0]][2]
            self._step(kernels.move, src.reshape(-1, columns), matrix, out.reshape(-1, columns))
        else:
            raise self._refuse(op)


def _floats(values: NDArray[Any]) -> Array:
    return np.ascontiguousarray(values, np.float32)


def _halves(options: dict[str, Any], x: Array) -> bool:
    sizes = {options[name] for name in ("height", "width", "stride_h", "stride_w")}
    return sizes == {2} and x.shape[1] % 2 == x.shape[2] % 2 == options["activation"] == 0
