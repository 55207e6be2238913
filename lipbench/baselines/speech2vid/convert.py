"""MatConvNet `.mat` files (DagNN structs) -> torch state dicts.

The graph in the file is read, its names are not trusted to say which parameter belongs where: `net.layers(i)` names
its `params`, `net.params(j)` holds the values, and where the two streams meet, its `inputs` tell their order. Filters
lie as height, width, in, out; batch norm keeps mean and *standard deviation* with eps inside (vl_nnbnorm), torch keeps
the variance without it.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipbench.core.weights.opening import FREE, RATIO, reading

#: A MATLAB 5 file: bytes before the first element, the type number of a compressed one, bytes unpacked at a time.
_MAT_HEADER, _MAT_COMPRESSED, _MAT_PIECE = 128, 15, 1 << 20
EPS = 1e-5  # of vl_nnbnorm and of torch's batch norm alike


def read_mat(path: str | Path) -> dict[str, Tensor]:
    """The convolutions and batch norms of a DagNN file, by layer name, as a torch state dict in float32.

    Raises:
        WeightsMissing: no such file.
        WeightsError: no MATLAB file before version 7.3, or no DagNN in it.
    """
    import scipy.io

    fix = "use v201.mat or v114.mat of github.com/joonson/yousaidthat, saved before MATLAB's version 7.3 format"
    with reading(path, fix) as path:
        _refuse_bomb(path)
        net = scipy.io.loadmat(str(path), struct_as_record=False, squeeze_me=True)["net"]
        values = {str(p.name): np.asarray(p.value, dtype=np.float32) for p in np.atleast_1d(net.params)}
        layers = np.atleast_1d(net.layers)
        state: dict[str, Tensor] = {}
        for layer in layers:
            state |= _layer(layer, values)
        if "conv8.weight" in state and _sees_first(layers, values):
            state["conv8.weight"] = state["conv8.weight"].roll(state["conv8.weight"].shape[1] // 2, 1)
        if not state:
            raise ValueError("it holds no convolution")
    return state


def _refuse_bomb(path: Path) -> None:
    """Go through the compressed elements of a MATLAB 5 file and stop at the first that grows beyond all weights."""
    room = max(FREE, RATIO * path.stat().st_size)
    with open(path, "rb") as file:
        file.seek(_MAT_HEADER)
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack("<II", tag)
            if kind != _MAT_COMPRESSED:
                file.seek(length, 1)
                continue
            unpack = zlib.decompressobj()
            data = file.read(length)
            while data and room >= 0:
                room -= len(unpack.decompress(data, _MAT_PIECE))
                data = unpack.unconsumed_tail
            if room < 0:
                raise ValueError("it would unpack to far more than weights ever do")


def _layer(layer: Any, values: dict[str, np.ndarray]) -> dict[str, Tensor]:
    kind, name = str(layer.type).rpartition(".")[2], str(layer.name)
    params = [values[str(p)] for p in np.atleast_1d(layer.params)] if np.size(layer.params) else []
    if kind == "Conv":
        bias = params[1].reshape(-1) if len(params) > 1 else np.zeros(params[0].shape[-1], np.float32)
        return {f"{name}.weight": _tensor(_filters(params[0], layer)), f"{name}.bias": _tensor(bias)}
    if kind == "BatchNorm":
        mean, deviation = params[2].reshape(-1, 2).T
        return {
            f"{name}.weight": _tensor(params[0].reshape(-1)),
            f"{name}.bias": _tensor(params[1].reshape(-1)),
            f"{name}.running_mean": _tensor(mean),
            f"{name}.running_var": _tensor(deviation**2 - EPS),
        }
    return {}


def _sees_first(layers: np.ndarray, values: dict[str, np.ndarray]) -> bool:
    """Whether the file's conv8 gets the face's 256 channels before the audio's; `networks` has the audio first."""
    makers = {str(name): layer for layer in layers for name in np.atleast_1d(layer.outputs)}
    at = next(layer for layer in layers if str(layer.name) == "conv8")
    while True:  # back along first inputs, to the first convolution of that stream
        before = makers.get(str(np.atleast_1d(at.inputs)[0]))
        if before is None:
            return str(at.type).endswith("Conv") and _filters(values[str(np.atleast_1d(at.params)[0])], at).shape[1] > 1
        at = before


def _filters(value: np.ndarray, layer: Any) -> np.ndarray:
    """(out, in, height, width) of a filter bank that reading has squeezed; the block's `size` tells its shape."""
    shape = [int(n) for n in np.atleast_1d(layer.block.size)]
    shape += [1] * (4 - len(shape))
    # MATLAB's order of memory: the first index runs fastest.
    return value.reshape(shape, order="F").transpose(3, 2, 0, 1)


def _tensor(value: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
