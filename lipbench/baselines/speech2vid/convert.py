"""MatConvNet `.mat` files (DagNN structs) -> torch state dicts.

The graph in the file is read, its names are not trusted to say which parameter belongs where: `net.layers(i)` names
its `params`, `net.params(j)` holds the values, and where the two streams meet, its `inputs` tell their order. Filters
lie as height, width, in, out; batch norm keeps mean and *standard deviation* with eps inside (vl_nnbnorm), torch keeps
the variance without it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lipbench.core.errors import WeightsError

EPS = 1e-5  # of vl_nnbnorm and of torch's batch norm alike


def read_mat(path: str | Path) -> dict[str, Tensor]:
    """The convolutions and batch norms of a DagNN file, by layer name, as a torch state dict in float32.

    Raises:
        WeightsError: no MATLAB file before version 7.3, or no DagNN in it.
    """
    import scipy.io
    from scipy.io.matlab import MatReadError

    fix = "use v201.mat or v114.mat of github.com/joonson/yousaidthat, saved before MATLAB's version 7.3 format"
    try:
        net = scipy.io.loadmat(str(path), struct_as_record=False, squeeze_me=True)["net"]
        values = {str(p.name): np.asarray(p.value, dtype=np.float32) for p in np.atleast_1d(net.params)}
        layers = np.atleast_1d(net.layers)
        state: dict[str, Tensor] = {}
        for layer in layers:
            state |= _layer(layer, values)
        if "conv8.weight" in state and _sees_first(layers, values):
            state["conv8.weight"] = state["conv8.weight"].roll(state["conv8.weight"].shape[1] // 2, 1)
    # scipy's reader, up to 1.12 at least, ends in an IndexError for files of a few bytes.
    except (MatReadError, OSError, ValueError, LookupError, AttributeError, NotImplementedError, TypeError) as error:
        raise WeightsError(
            f"cannot read the MatConvNet network {path}", f"{type(error).__name__}: {error}", fix
        ) from error
    if not state:
        raise WeightsError(f"cannot read the MatConvNet network {path}", "it holds no convolution", fix)
    return state


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
