"""Reading Wav2Lip weights in each of the three forms in which they go around, and in ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.baselines.wav2lip.networks import QualityDiscriminator, SyncExpert, Wav2LipGenerator
from lipbench.core import npz
from lipbench.core.errors import WeightsMismatch
from lipbench.core.weights import states, torch_file
from lipbench.core.weights.opening import reading

FORMATS = "a dict with 'state_dict' in it, a bare state dict, a TorchScript archive, or lipbench's npz"
_FIX = f"get the file again from the links in the README of github.com/Rudrabha/Wav2Lip; readable are {FORMATS}"

#: network -> (key of a convolution that is 512 wide in the published size, to read the width multiplier from)
_WIDEST = {
    Wav2LipGenerator: "face_encoder_blocks.6.0.conv_block.0.weight",
    SyncExpert: "face_encoder.16.conv_block.0.weight",
    QualityDiscriminator: "face_encoder_blocks.6.0.conv_block.0.weight",
}
_INFO = "__info__"  # entry of an npz: JSON, where the weights come from
Net = TypeVar("Net", Wav2LipGenerator, SyncExpert, QualityDiscriminator)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The float32 state dict in a checkpoint file, on the CPU, without `module.` prefixes.

    Four forms are read: `{"state_dict": ..., "optimizer": ...}` as upstream's training writes it, a bare state dict,
    the TorchScript archives that upstream links today and its own loader refuses, and what `save_npz` wrote. No code
    of the file is ever run.

    Raises:
        WeightsMissing: no such file.
        WeightsError: none of these forms.
    """
    if Path(path).suffix != ".npz":
        return torch_file.state_dict(path, _FIX)
    with reading(path, _FIX) as path:
        return torch_file.floats(_arrays(path))


def load(path: str | Path, kind: type[Net] = Wav2LipGenerator) -> Net:  # type: ignore[assignment]
    """The network in a checkpoint file, in eval mode; its width is read off the weights.

    Raises:
        WeightsMissing, WeightsError: see `read_state_dict`.
        WeightsMismatch: the file holds another network.
    """
    state = read_state_dict(path)
    widest = state.get(_WIDEST[kind])
    if widest is None or widest.dim() != 4:
        raise WeightsMismatch(f"{path} holds no {kind.__name__}", f"it has no {_WIDEST[kind]}", _guess(state) or _FIX)
    width = widest.shape[0] / 512
    with torch.device("meta"):
        net: Any = Wav2LipGenerator(width, _gated(state)) if kind is Wav2LipGenerator else kind(width)
    loaded: Net = states.filled(net, state, Path(path), _guess(state) or _FIX)
    return loaded


def save_npz(net: nn.Module, path: str | Path, info: Mapping[str, Any] | None = None) -> Path:
    """Write a network's weights as float16 arrays; `info` (JSON) comes back from `read_info`."""
    arrays = {k: (v.half() if v.is_floating_point() else v).cpu().numpy() for k, v in net.state_dict().items()}
    npz.save(path, {_INFO: np.array(json.dumps(dict(info or {}))), **arrays})
    return Path(path)


def read_info(path: str | Path) -> dict[str, Any]:
    """What `save_npz` was told about the weights; empty for other files."""
    if Path(path).suffix != ".npz":
        return {}
    with reading(path, _FIX) as path, np.load(path, allow_pickle=False) as z:
        return dict(json.loads(str(z[_INFO]))) if _INFO in z.files else {}


def _arrays(path: Path) -> dict[str, Tensor]:
    with np.load(path, allow_pickle=False) as z:
        return {key: torch.from_numpy(z[key]) for key in z.files if key != _INFO}


def _gated(state: Mapping[str, Tensor]) -> bool:
    """Whether a generator has a fourth output channel; see `networks.Wav2LipGenerator`."""
    last = state.get("output_block.1.weight")
    return last is not None and last.shape[0] == 4


def _guess(state: Mapping[str, Tensor]) -> str:
    """What the file holds instead, as advice."""
    for kind, key in _WIDEST.items():
        if key in state and (kind is not QualityDiscriminator or "binary_pred.0.weight" in state):
            return f"it looks like a {kind.__name__}; use the file for that" if kind is not Wav2LipGenerator else ""
    return ""
