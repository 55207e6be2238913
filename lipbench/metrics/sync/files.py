"""Sync model weights on disk.

Two forms are written, both with width, input size and a free `info` beside the tensors: npz (arrays plus a JSON entry)
and a torch file. Read besides: the published old-format pickle and any plain state dict. Nothing is unpickled but
tensors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lipbench.core import npz
from lipbench.core.errors import WeightsError
from lipbench.core.weights import torch_file
from lipbench.core.weights.opening import reading

if TYPE_CHECKING:
    from lipbench.metrics.sync.network import SyncNet

FORMAT = "lipbench.syncnet/1"
_META = "__meta__"
_FIX = "use syncnet_v2.model or a file made by `lipbench train syncnet`"
_FIRST, _LAST = "netcnnlip.0.weight", "netcnnlip.18.weight"


@dataclass(frozen=True)
class Shape:
    """What tells one SyncNet from another: `width` multiplies the channels, `size` is the input's edge in px."""

    width: float = 1.0
    size: int = 224

    def channels(self, published: int) -> int:
        """Channels (or embedding entries) of a layer that has `published` of them at width 1."""
        return max(1, round(published * self.width))

    @property
    def maps(self) -> tuple[int, int]:
        """Edge of the feature map before and after the last visual pooling: 13 and 6 at 224 px.

        Below 9 px the last pooling is left out, or small inputs would reach the last layer as 2x2 or less: 112 px
        give 6 and 6.
        """
        edge = (self.size - 7) // 2 + 1  # conv 7 stride 2
        edge = (edge - 3) // 2 + 1  # pool 3 stride 2
        edge = (edge + 2 - 5) // 2 + 1  # conv 5 stride 2 pad 1
        edge = (edge + 2 - 3) // 2 + 1  # pool 3 stride 2 pad 1
        return edge, (edge - 3) // 2 + 1 if edge >= 9 else edge


def save(net: SyncNet, path: str | Path, *, half: bool = True, info: Mapping[str, Any] | None = None) -> Path:
    """Write `net`; `half` stores floats as float16. `info` is JSON (training facts), returned by `read_info`."""
    path = Path(path)
    state = {
        key: (value.half() if half and value.is_floating_point() else value).cpu().contiguous()
        for key, value in net.state_dict().items()
    }
    meta = {"format": FORMAT, "width": net.shape.width, "size": net.shape.size, "info": dict(info or {})}
    if path.suffix == ".npz":
        arrays = {key: value.numpy() for key, value in state.items()}
        npz.save(path, {_META: np.array(json.dumps(meta)), **arrays})
    else:
        torch.save({**meta, "state_dict": state}, path)
    return path


def read_info(path: str | Path) -> dict[str, Any]:
    """Metadata of a file that `save` wrote (format, width, size, info); empty for other files.

    Raises:
        WeightsError: unreadable.
    """
    return _read(Path(path))[1]


def read_shape(path: str | Path) -> Shape:
    """Width and input size of the network in a file.

    Raises:
        WeightsError: unreadable, or no SyncNet.
    """
    return _shape(Path(path), *_read(Path(path)))


def load(
    build: Callable[[float, int], SyncNet], path: str | Path, *, width: float | None = None, size: int | None = None
) -> SyncNet:
    """See `SyncNet.from_file`.

    Args:
        build: width, size -> the network, the class itself.
    """
    path = Path(path)
    state, meta = _read(path)
    shape = _shape(path, state, meta)
    if (width is not None and width != shape.width) or (size is not None and size != shape.size):
        raise WeightsError(
            f"{path} holds another sync model",
            f"its width is {shape.width:g} and its input {shape.size} px, asked for {width or shape.width:g} and "
            f"{size or shape.size} px",
            "name the file that belongs to this sync model",
        )
    net = build(shape.width, shape.size)
    own = net.state_dict()
    # Counters do not touch any number; files older than torch 0.4.1 lack them.
    state = {**{k: v for k, v in own.items() if k.endswith("num_batches_tracked")}, **state}
    problems = [f"missing {key}" for key in own if key not in state]
    problems += [f"unknown {key}" for key in state if key not in own]
    problems += [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if problems:
        more = f" and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise WeightsError(
            f"{path} does not fit SyncNet (width {shape.width:g}, {shape.size} px)",
            "; ".join(problems[:4]) + more,
            "use syncnet_v2.model or a file made by `lipbench train syncnet`",
        )
    net.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})
    return net.eval()


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if path.suffix == ".npz":
        with reading(path, _FIX) as path, np.load(path, allow_pickle=False) as z:
            meta = json.loads(str(z[_META])) if _META in z else {}
            return {key: torch.from_numpy(z[key]) for key in z.files if key != _META}, meta
    held = torch_file.read(path, _FIX)
    meta = {}
    if isinstance(held, Mapping) and isinstance(held.get("state_dict"), Mapping):
        meta = {key: value for key, value in held.items() if key != "state_dict"}
    return torch_file.tensors(held, path, _FIX), meta


def _shape(path: Path, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Shape:
    """Width and input size from the metadata, else from the shapes of the first and the last visual layer."""
    if "width" in meta and "size" in meta:
        return Shape(float(meta["width"]), int(meta["size"]))
    if _FIRST not in state or _LAST not in state:
        raise WeightsError(f"{path} is no SyncNet checkpoint", f"it has no {_FIRST}", "use syncnet_v2.model")
    width, kernel = state[_FIRST].shape[0] / 96, state[_LAST].shape[-1]
    # Several inputs end in one kernel; a file without metadata is taken for the published 224 px where that fits.
    fitting = [size for size in (224, *range(48, 512, 16)) if Shape(width, size).maps[1] == kernel]
    if not fitting:
        raise WeightsError(
            f"{path} is no SyncNet checkpoint", f"its last kernel is {kernel} px", "use syncnet_v2.model"
        )
    return Shape(width, fitting[0])
