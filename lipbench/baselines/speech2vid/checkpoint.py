"""Speech2Vid weights: the npz of `lipbench train speech2vid` and the published MatConvNet files.

A file tells which sound and which framing it was trained on; the published ones are known by their form.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from lipbench.baselines.speech2vid.convert import read_mat
from lipbench.baselines.speech2vid.framing import Framing
from lipbench.baselines.speech2vid.networks import DeblurNet, Speech2VidNet
from lipbench.baselines.speech2vid.sound import Kind
from lipbench.core.errors import WeightsMismatch
from lipbench.core.weights import states

FORMAT = "lipbench.speech2vid/1"

Stills = Literal["around", "own", "spread"]
_FIX = "use v201.mat of github.com/joonson/yousaidthat or a file made by `lipbench train speech2vid`"


@dataclass(frozen=True)
class Speech2VidModel:
    """A generator and what it was trained on."""

    net: Speech2VidNet
    sound: Kind
    framing: Framing
    stills: Stills


def save(
    net: Speech2VidNet, path: Path, sound: Kind, framing: Framing, facts: Mapping[str, Any], stills: Stills = "around"
) -> Path:
    """Write an npz with float16 weights and float32 statistics; `facts` is JSON."""
    meta = {
        "format": FORMAT,
        "width": net.width,
        "sound": sound,
        "framing": framing,
        "stills": stills,
        "info": dict(facts),
    }
    return states.write(net, path, meta)


def load(path: str | Path) -> Speech2VidModel:
    """The generator in an npz of ours or in the published v201.mat, in eval mode.

    Raises:
        WeightsMissing: no such file.
        WeightsError: unreadable.
        WeightsMismatch: another network.
    """
    path = states.present(path)
    if not _is_npz(path):
        state = read_mat(path)
        net = states.filled(_built(Speech2VidNet, state, "conv1_face.weight", 96, path), state, path, _FIX)
        return Speech2VidModel(net, "htk", "eyes-nose", "spread")
    meta, state = states.read(path, FORMAT, "Speech2Vid network", _FIX)
    with torch.device("meta"):
        net = Speech2VidNet(float(meta["width"]))
    return Speech2VidModel(
        states.filled(net, state, path, _FIX), meta["sound"], meta["framing"], meta.get("stills", "around")
    )


def load_deblur(path: str | Path) -> DeblurNet:
    """The deblurring network in the published v114.mat, in eval mode.

    Raises:
        WeightsMissing, WeightsError, WeightsMismatch: as `load`.
    """
    path = states.present(path)
    state = read_mat(path)
    return states.filled(_built(DeblurNet, state, "supr0.weight", 64, path), state, path, _FIX)


def _built(kind: Any, state: Mapping[str, Tensor], key: str, channels: int, path: Path) -> Any:
    """A network of the width that a layer of `channels` channels tells."""
    if key not in state:
        raise WeightsMismatch(f"{path} holds no {kind.__name__}", f"it has no {key}", _FIX)
    with torch.device("meta"):
        return kind(state[key].shape[0] / channels)


def _is_npz(path: Path) -> bool:
    return zipfile.is_zipfile(path)
