"""Speech2Vid's two published graphs, as MatConvNet's layers, and the golden vectors made from them.

The tables are v201 and v114 of github.com/joonson/yousaidthat (model files read with scipy). `python
tests/golden/speech2vid.py` wrote `speech2vid.npz` beside it: what `matconvnet.evaluate` answers on the inputs and
weights of `rule.py`. No part of lipbench takes part in that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

EPS = 1e-5
#: name: kernel, stride, padding (top, bottom, left, right). Each is followed by batch norm and ReLU.
SOUND = {
    "conv1_audio": (3, 1, 1),
    "conv2_audio": (3, 1, 1),
    "conv3_audio": (3, 1, 1),
    "conv4_audio": (3, 1, 1),
    "conv5_audio": (3, 1, 1),
    "fc6_audio": ((5, 8), 1, 0),
    "fc7_audio": (1, 1, 0),
}
FACE = {
    "conv1_face": (7, 2, 0),
    "conv2_face": (5, 2, 1),
    "conv3_face": (3, 1, 1),
    "conv4_face": (3, 1, 1),
    "conv5_face": (3, 1, 1),
    "conv6_face": (6, 1, 0),
    "conv7_face": (1, 1, 0),
}
#: Max pooling behind a layer: size, stride, padding.
POOLS = {
    "conv1_audio": (1, 1, 0),
    "conv2_audio": (3, (1, 2), (1, 0, 0, 0)),
    "conv5_audio": (3, 2, 0),
    "conv1_face": (3, 2, 0),
    "conv2_face": (3, 2, (0, 1, 0, 1)),
}
UNEVEN = (2, 1, 2, 1)
#: name: kernel, padding, joined from the face's stream before it, edge of the map that is doubled before it (0: none).
DRAWING = {
    "conv1_1": (3, 1, None, 1),
    "conv1_2": (3, 1, None, 2),
    "conv1_3": (3, 0, None, 4),
    "conv2": (3, 1, None, 6),
    "conv3_1": (3, 1, "relu_conv2_face", 12),
    "conv3_2": (5, 3, None, 0),
    "conv4": (3, UNEVEN, "pool_conv1_face", 26),
    "conv5_1": (3, UNEVEN, "relu_conv1_face", 53),
    "conv5_2": (3, UNEVEN, None, 0),
    "conv5_3": (3, UNEVEN, None, 0),
}


class Graph:
    """Layers in the making; `values` are the parameters in MatConvNet's layout, taken from a torch state dict."""

    def __init__(self, state: Mapping[str, np.ndarray]) -> None:
        self.state = state
        self.layers: list[dict[str, Any]] = []
        self.values: dict[str, np.ndarray] = {}

    def add(self, kind: str, name: str, *inputs: str, block: dict[str, Any] | None = None, **params: np.ndarray) -> str:
        self.values |= {f"{name}_{k}": v for k, v in params.items()}
        self.layers.append(
            {
                "name": name,
                "type": f"dagnn.{kind}",
                "inputs": list(inputs),
                "outputs": [f"y_{name}"],
                "params": [f"{name}_{k}" for k in params],
                "block": block or {"none": 0.0},
            }
        )
        return f"y_{name}"

    def conv(self, name: str, source: str, stride: Any, pad: Any) -> str:
        filters = np.asarray(self.state[f"{name}.weight"]).transpose(2, 3, 1, 0)
        block = {
            "size": np.array(filters.shape, float),
            "hasBias": True,
            "stride": _vector(stride, 2),
            "pad": _vector(pad, 4),
        }
        return self.add("Conv", name, source, block=block, f=filters, b=np.asarray(self.state[f"{name}.bias"])[:, None])

    def batch_norm(self, name: str, source: str) -> str:
        weight, bias, mean, variance = (
            np.asarray(self.state[f"{name}.{k}"]) for k in ("weight", "bias", "running_mean", "running_var")
        )
        params = {"m": weight[:, None], "b": bias[:, None], "x": np.stack([mean, np.sqrt(variance + EPS)], 1)}
        return self.add("BatchNorm", name, source, block={"epsilon": EPS}, **params)


def v201(state: Mapping[str, np.ndarray], *, face_first: bool = False) -> Graph:
    """The generator: variables `sound` (12, 35, 1), `face` (112, 112, 15), `twice_N` (the grids) -> `y_sigmoid`.

    Args:
        state: key -> array, in torch's layout.
        face_first: join the streams the other way round, in graph and filters.
    """
    graph, ends = Graph(state), {}
    for stream, table in (("sound", SOUND), ("face", FACE)):
        x = stream
        for name, (kernel, stride, pad) in table.items():
            assert np.asarray(state[f"{name}.weight"]).shape[2:] == tuple(np.broadcast_to(kernel, 2))
            x = graph.conv(name, x, stride, pad)
            x = graph.batch_norm(f"bn{name.split('_')[0][-1]}_{name.split('_')[1]}", x)
            x = graph.add("ReLU", f"relu_{name}", x)
            if name in POOLS:
                size, step, edge = POOLS[name]
                block = {
                    "method": "max",
                    "poolSize": _vector(size, 2),
                    "stride": _vector(step, 2),
                    "pad": _vector(edge, 4),
                }
                x = graph.add("Pooling", f"pool_{name}", x, block=block)
        ends[stream] = x
    order = ("face", "sound") if face_first else ("sound", "face")
    x = graph.add("Concat", "concat8", *(ends[s] for s in order), block={"dim": 3.0})
    x = graph.conv("conv8", x, 1, 0)
    if face_first:
        graph.values["conv8_f"] = np.roll(graph.values["conv8_f"], graph.values["conv8_f"].shape[2] // 2, 2)
    x = graph.add("ReLU", "relu_conv8", x)
    for name, (kernel, pad, joined, edge) in DRAWING.items():
        assert np.asarray(state[f"{name}.weight"]).shape[2:] == (kernel, kernel)
        if joined:
            x = graph.add("Concat", f"concat_{name}", f"y_{joined}", x, block={"dim": 3.0})
        if edge:
            x = graph.add("BilinearSampler", f"up_{name}", x, f"twice_{edge}")
        x = graph.conv(name, x, 1, pad)
        x = graph.add("ReLU", f"relu_{name}", x) if name != "conv5_3" else graph.add("Sigmoid", "sigmoid", x)
    return graph


def v114(state: Mapping[str, np.ndarray]) -> Graph:
    """The deblurring network: variable `drawn` (H, W, 3) -> `y_sum`."""
    graph, x = Graph(state), "drawn"
    for i in range(10):
        x = graph.conv(f"supr{i}", x, 1, 1)
        if i < 9:
            x = graph.add("ReLU", f"relu{i}", x)
    graph.add("Sum", "sum", "drawn", x)
    return graph


GRIDS = sorted({row[3] for row in DRAWING.values()} - {0})


def _vector(n: Any, length: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(n, float), length).copy()


def inputs(rule: Any) -> dict[str, np.ndarray]:
    """Sound, stills in [0, 1] and a drawing, in torch's layout (1, C, H, W)."""
    return {
        "sound": rule.array("s/sound", 1, 1, 12, 35),
        "face": rule.uniform("s/face", 1, 15, 112, 112),
        "drawn": rule.uniform("s/drawn", 1, 3, 109, 109),
    }


def answers(drawer: Graph, deblur: Graph, evaluate: Any, twice: Any, given: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """`drawn` and `sharp` (1, 3, 109, 109) and the maps on the way that the networks hand on, in torch's layout."""
    lying = {name: x[0].transpose(1, 2, 0) for name, x in given.items()}
    lying |= {f"twice_{n}": twice(n) for n in GRIDS}
    all_ = evaluate(drawer.layers, drawer.values, {k: x for k, x in lying.items() if k != "drawn"})
    sharp = evaluate(deblur.layers, deblur.values, {"drawn": lying["drawn"]})["y_sum"]
    maps = {"heard": all_["y_relu_fc7_audio"], "looked": all_["y_relu_conv7_face"], "drawn": all_["y_sigmoid"]}
    return {name: x.transpose(2, 0, 1)[None] for name, x in (maps | {"sharp": sharp}).items()}


def filled(keys: str, rule: Any) -> dict[str, np.ndarray]:
    """The weights of `rule.fill` for a list of keys and shapes, a line each."""
    import torch

    rows = [line.split("\t") for line in keys.splitlines() if not line.startswith("#")]
    empty = {key: torch.zeros([int(n) for n in shape.strip("(,)").split(",") if n.strip()]) for key, shape, *_ in rows}
    return {key: value.numpy() for key, value in rule.fill(empty).items()}


if __name__ == "__main__":
    from pathlib import Path

    import matconvnet
    import rule as golden_rule

    here = Path(__file__).parent
    drawer = v201(filled((here / "speech2vid_v201.txt").read_text(), golden_rule))
    deblur = v114(filled((here / "speech2vid_v114.txt").read_text(), golden_rule))
    vectors = answers(drawer, deblur, matconvnet.evaluate, matconvnet.twice, inputs(golden_rule))
    np.savez_compressed(here / "speech2vid.npz", **{k: v.astype(np.float32) for k, v in vectors.items()})
