"""State dicts and networks: a file that holds the wrong one is told apart in one way, whatever the network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.core import npz
from lipbench.core.errors import WeightsMismatch, WeightsMissing
from lipbench.core.weights.opening import reading

_META = "__meta__"
Net = TypeVar("Net", bound=nn.Module)


def present(path: str | Path, fix: str = "check the path, or `lipbench weights list`") -> Path:
    """The path of a file that is there.

    Raises:
        WeightsMissing: it is not.
    """
    if not Path(path).is_file():
        raise WeightsMissing(f"there is no file {path}", "", fix)
    return Path(path)


def filled(net: Net, state: Mapping[str, Tensor], path: Path, fix: str, idle: tuple[str, ...] = ()) -> Net:
    """The network (it may be one without storage) with a file's weights as float32, in eval mode, without gradients.

    Args:
        state: what the file holds; batch norms' counters may be left out, they change no answer.
        path: for the error: which file.
        fix: for the error: what to do.
        idle: beginnings of entries that the file need not have; the network keeps its own.

    Raises:
        WeightsMismatch: the file's entries are not the network's, or of other shapes.
    """
    expected = net.state_dict()
    own = {k: v for k, v in expected.items() if k not in state and (k.endswith("num_batches_tracked") or _any(k, idle))}
    given = {**{k: torch.zeros((), dtype=v.dtype) if v.is_meta else v for k, v in own.items()}, **state}
    wrong = sorted(expected.keys() ^ given.keys()) or [k for k in expected if expected[k].shape != given[k].shape]
    if wrong:
        shapes = [tuple(d[wrong[0]].shape) if wrong[0] in d else "absent" for d in (expected, given)]
        raise WeightsMismatch(
            f"{path} holds no {type(net).__name__}",
            f"{len(wrong)} of {len(expected)} entries differ, first {wrong[0]}: {shapes[0]} wanted, {shapes[1]} found",
            fix,
        )
    floats = {k: v.float() if v.is_floating_point() else v for k, v in given.items()}
    # nn.Module's own: a network may override load_state_dict for other callers.
    nn.Module.load_state_dict(net, floats, assign=True)
    return net.eval().requires_grad_(False)


def write(net: nn.Module, path: Path, meta: Mapping[str, Any], idle: tuple[str, ...] = ()) -> Path:
    """Write an npz: float16 weights, float32 statistics (variances do not fit into float16), no counters.

    Args:
        meta: JSON; its `format` is what `read` asks for.
        idle: beginnings of entries that are left out.
    """
    arrays = {
        k: v.detach().cpu().numpy()
        for k, v in net.state_dict().items()
        if not k.endswith("batches_tracked") and not _any(k, idle)
    }
    half = {k: v if ".running_" in k else v.astype(np.float16) for k, v in arrays.items()}
    npz.save(path, {_META: np.array(json.dumps(dict(meta))), **half})
    return path


def read(path: Path, kind: str, what: str, fix: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Metadata and float32 state dict of a file that `write` made.

    Args:
        kind: its `format`.
        what: for the error: "Speech2Vid network".
        fix: for the error: what to do.

    Raises:
        WeightsMissing: no such file.
        WeightsError: unreadable.
        WeightsMismatch: of another format.
    """
    with reading(path, fix) as path, np.load(path, allow_pickle=False) as z:
        meta = json.loads(str(z[_META]))
        state = {k: torch.from_numpy(z[k].astype(np.float32)) for k in z.files if k != _META}
    if meta.get("format") != kind:
        raise WeightsMismatch(f"{path} holds no {what}", f"its format is {meta.get('format')!r}", fix)
    return meta, state


def _any(key: str, beginnings: tuple[str, ...]) -> bool:
    return bool(beginnings) and key.startswith(beginnings)
