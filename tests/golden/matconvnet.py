"""MatConvNet's DagNN in plain numpy and double precision: the reference for networks that only exist as its files.

Written from MatConvNet's manual (vlfeat.org/matconvnet/mfiles) and shares nothing with torch: images lie as height,
width, channel; filters as height, width, in, out. A layer is a dict of `name`, `type`, `inputs`, `outputs`, `params`
(names) and `block` (settings), as the file's struct has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Layer = Mapping[str, Any]


def evaluate(
    layers: Sequence[Layer], values: Mapping[str, np.ndarray], inputs: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Every variable of the graph, by name, each (height, width, channels) in float64."""
    known = {name: np.asarray(x, np.float64) for name, x in inputs.items()}
    waiting = list(layers)
    while waiting:
        ready = [layer for layer in waiting if all(name in known for name in layer["inputs"])]
        if not ready:
            raise ValueError(f"nothing feeds {waiting[0]['name']}: {waiting[0]['inputs']}")
        for layer in ready:
            params = [np.asarray(values[p], np.float64) for p in layer["params"]]
            (output,) = layer["outputs"]
            kind = layer["type"].removeprefix("dagnn.")
            known[output] = KINDS[kind](layer["block"], params, *(known[name] for name in layer["inputs"]))
        waiting = [layer for layer in waiting if layer not in ready]
    return known


def _windows(x: np.ndarray, size: Sequence[float], block: Mapping[str, Any], fill: float) -> np.ndarray:
    """(H', W', C, kh, kw): what a filter of `size` sees at each of its places."""
    top, bottom, left, right = (int(n) for n in np.broadcast_to(np.ravel(block["pad"]), 4))
    dy, dx = (int(n) for n in np.broadcast_to(np.ravel(block["stride"]), 2))
    x = np.pad(x, ((top, bottom), (left, right), (0, 0)), constant_values=fill)
    return sliding_window_view(x, (int(size[0]), int(size[1])), axis=(0, 1))[::dy, ::dx]


def _conv(block: Mapping[str, Any], params: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """vl_nnconv: a correlation, the filter is not turned around."""
    filters, bias = params
    seen = _windows(x, filters.shape[:2], block, 0.0)
    return np.tensordot(seen, filters, axes=((3, 4, 2), (0, 1, 2))) + bias.ravel()


def _batch_norm(block: Mapping[str, Any], params: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """vl_nnbnorm with given moments: column 0 the mean, column 1 the standard deviation, epsilon already in it."""
    multiplier, bias, moments = params
    return multiplier.ravel() * (x - moments[:, 0]) / moments[:, 1] + bias.ravel()


def _max_pool(block: Mapping[str, Any], params: list[np.ndarray], x: np.ndarray) -> np.ndarray:
    """vl_nnpool: what lies outside is never the maximum."""
    assert block["method"] == "max"
    return _windows(x, np.ravel(block["poolSize"]), block, -np.inf).max((3, 4))


def _sample(block: Mapping[str, Any], params: list[np.ndarray], x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """vl_nnbilinearsampler: grid (2, H', W'), y before x; -1 and 1 are the middles of the first and last pixel."""
    y, x_ = ((g + 1) / 2 * (n - 1) for g, n in zip(grid, x.shape, strict=False))
    out = np.zeros((*grid.shape[1:], x.shape[2]))
    for row in (np.floor(y), np.floor(y) + 1):
        for column in (np.floor(x_), np.floor(x_) + 1):
            share = np.clip(1 - abs(y - row), 0, 1) * np.clip(1 - abs(x_ - column), 0, 1)
            inside = (row >= 0) & (row < x.shape[0]) & (column >= 0) & (column < x.shape[1])
            at = np.where(inside, row, 0).astype(int), np.where(inside, column, 0).astype(int)
            out += (share * inside)[..., None] * x[at]
    return out


KINDS: dict[str, Any] = {
    "Conv": _conv,
    "BatchNorm": _batch_norm,
    "Pooling": _max_pool,
    "BilinearSampler": _sample,
    "ReLU": lambda block, params, x: np.maximum(x, 0),
    "Sigmoid": lambda block, params, x: 1 / (1 + np.exp(-x)),
    "Concat": lambda block, params, *xs: np.concatenate(xs, axis=int(np.ravel(block["dim"])[0]) - 1),
    "Sum": lambda block, params, *xs: np.sum(xs, axis=0),
}


def twice(size: int) -> np.ndarray:
    """The grid (2, 2 size, 2 size) that enlarges a square of `size` px twofold."""
    line = np.linspace(-1, 1, 2 * size)
    return np.stack(np.meshgrid(line, line, indexing="ij"))


def write(layers: Sequence[Layer], values: Mapping[str, np.ndarray], path: Path) -> Path:
    """The `.mat` file of a DagNN: a struct `net` of struct arrays `layers` and `params`."""
    import scipy.io

    cells = [
        {**layer, **{k: _cell(layer[k]) for k in ("inputs", "outputs", "params")}, "block": dict(layer["block"])}
        for layer in layers
    ]
    params = [{"name": name, "value": value.astype(np.float32)} for name, value in values.items()]
    scipy.io.savemat(path, {"net": {"layers": _structs(cells), "params": _structs(params)}})
    return path


def read(path: Path) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Layers and values of a DagNN file."""
    import scipy.io

    net = scipy.io.loadmat(path)["net"][0, 0]

    def names(cell: np.ndarray) -> list[str]:
        return [str(np.ravel(name)[0]) for name in np.ravel(cell)]

    layers = []
    for row in net["layers"][0]:
        block = row["block"]
        settings = {k: block[k][0, 0] for k in block.dtype.names or ()}
        settings = {k: str(v[0]) if v.dtype.kind == "U" else v for k, v in settings.items()}
        layers.append(
            {
                "name": str(row["name"][0]),
                "type": str(row["type"][0]),
                "inputs": names(row["inputs"]),
                "outputs": names(row["outputs"]),
                "params": names(row["params"]),
                "block": settings,
            }
        )
    return layers, {str(row["name"][0]): row["value"] for row in net["params"][0]}


def _cell(names: Sequence[str]) -> np.ndarray:
    out = np.empty((1, len(names)), object)
    out[0, :] = names
    return out


def _structs(rows: Sequence[Mapping[str, Any]]) -> np.ndarray:
    out = np.empty((1, len(rows)), [(k, object) for k in rows[0]])
    for i, row in enumerate(rows):
        out[0, i] = tuple(row.values())
    return out
