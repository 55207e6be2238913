"""Reading PC-AVS's four published files: latest_net_G.pth, _V, _E and _A_sync, each one state dict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from lipbench.baselines.pcavs.encoders import AudioEncoder, IdentityEncoder, PoseMouthEncoder
from lipbench.baselines.pcavs.generator import Generator
from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing

_FIX = "get demo.zip again from the link in the README of github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS"
Net = TypeVar("Net", Generator, IdentityEncoder, PoseMouthEncoder, AudioEncoder)
#: network -> (an entry whose first axis tells the width, its published length, an entry as long as there are classes)
_SIGNS: dict[type, tuple[str, int, str]] = {
    Generator: ("conv1.conv.modulation.weight", 512, ""),
    IdentityEncoder: ("model.layer1.0.conv1.weight", 128, "fc.weight"),
    PoseMouthEncoder: ("model.fc.weight", 512, "classifier.2.weight"),
    AudioEncoder: ("model.fc.weight", 512, "fc.weight"),
}


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The float32 state dict in a file, on the CPU, without `module.` prefixes. No pickled code is ever run.

    Raises:
        WeightsMissing: no such file.
        WeightsError: no state dict of tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissing(f"there is no file {path}", "", "check the path, or `lipbench weights list`")
    try:
        loaded: Any = torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ...
        why = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
        raise WeightsError(f"cannot read the weights {path}", why, _FIX) from error
    state = loaded.get("state_dict", loaded) if isinstance(loaded, Mapping) else None
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"cannot read the weights {path}", "it holds no state dict", _FIX)
    tensors = {str(key).removeprefix("module."): value for key, value in state.items()}
    foreign = next((key for key, value in tensors.items() if not isinstance(value, Tensor)), None)
    if foreign is not None:
        raise WeightsError(f"cannot read the weights {path}", f"{foreign!r} in it is no tensor", _FIX)
    return {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}


def load(path: str | Path, kind: type[Net]) -> Net:
    """The network of that kind in a file, in eval mode; width and number of classes are read off the weights.

    Raises:
        WeightsMissing, WeightsError: see `read_state_dict`.
        WeightsMismatch: the file holds another network.
    """
    state = read_state_dict(path)
    sign, published, classes = _SIGNS[kind]
    missing = next((key for key in (sign, classes) if key and key not in state), None)
    if missing is not None:
        raise WeightsMismatch(f"{path} holds no {kind.__name__}", f"it has no {missing}", _FIX)
    width = len(state[sign]) / published
    sizes = (width, len(state[classes])) if classes else (width,)
    with torch.device("meta"):
        net = kind(*sizes)
    expected = net.state_dict()
    wrong = sorted(expected.keys() ^ state.keys()) or [k for k in expected if expected[k].shape != state[k].shape]
    if wrong:
        key = wrong[0]
        shapes = [tuple(d[key].shape) if key in d else "absent" for d in (expected, state)]
        raise WeightsMismatch(
            f"{path} holds no {kind.__name__}",
            f"{len(wrong)} of {len(expected)} entries differ, first {key}: {shapes[0]} expected, {shapes[1]} found",
            _FIX,
        )
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False)
