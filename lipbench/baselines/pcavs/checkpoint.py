"""Reading PC-AVS's four published files (latest_net_G.pth, _V, _E, _A_sync: one state dict each), and our own npz."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from lipbench.baselines.pcavs.encoders import AudioEncoder, IdentityEncoder, PoseMouthEncoder
from lipbench.baselines.pcavs.generator import PcAvsGenerator
from lipbench.baselines.pcavs.layout import Layout, Networks
from lipbench.core.errors import WeightsMismatch
from lipbench.core.weights import states, torch_file

_FIX = "get demo.zip again from the link in the README of github.com/Hangz-nju-cuhk/Talking-Face_PC-AVS"
FORMAT = "lipbench.pcavs/1"
_OURS = "use a file that `lipbench train pc-avs` made"
#: Heads that only upstream's training uses; a file of ours holds none of them.
_IDLE = ("V.fc.", "V.model.fc.", "E.classifier.", "E.mouth_fc.", "E.headpose_fc.", "A.fc.", "G.style.")
Net = TypeVar("Net", PcAvsGenerator, IdentityEncoder, PoseMouthEncoder, AudioEncoder)
#: network -> (an entry whose first axis tells the width, its published length, an entry as long as there are classes)
_SIGNS: dict[type, tuple[str, int, str]] = {
    PcAvsGenerator: ("conv1.conv.modulation.weight", 512, ""),
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
    return torch_file.state_dict(path, _FIX)


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
    return states.filled(net, state, Path(path), _FIX)


def together(
    generator: PcAvsGenerator, identity: IdentityEncoder, pose: PoseMouthEncoder, audio: AudioEncoder
) -> Networks:
    """Four published networks as one.

    Raises:
        WeightsMismatch: networks of different widths.
    """
    widths = {net.width for net in (generator, identity, pose, audio)}
    if len(widths) > 1:
        raise WeightsMismatch(
            "PC-AVS's networks do not fit together",
            f"they are {sorted(widths)} times as wide as published",
            "use four files of one training",
        )
    return Networks(generator, identity, pose, audio)


def save(net: Networks, layout: Layout, path: Path, facts: Mapping[str, Any]) -> Path:
    """Write four networks as one npz: float16 weights, float32 statistics; `facts` is JSON."""
    meta = {"format": FORMAT, "layout": asdict(layout), "info": dict(facts)}
    return states.write(net, path, meta, _IDLE)


def load_ours(path: str | Path) -> Networks:
    """The four networks of a file that `save` wrote, in eval mode.

    Raises:
        WeightsMissing: no such file.
        WeightsError: unreadable.
        WeightsMismatch: another network.
    """
    meta, state = states.read(Path(path), FORMAT, "PC-AVS", _OURS)
    sizes: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in meta["layout"].items()}
    net = Layout(**sizes).networks()
    return states.filled(net, state, Path(path), _OURS, _IDLE)
