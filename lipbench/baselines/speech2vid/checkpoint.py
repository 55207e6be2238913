"""Speech2Vid weights: the npz of `lipbench train speech2vid` and the published MatConvNet files.

A file tells which sound and which framing it was trained on; the published ones are known by their form.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from lipbench.baselines.speech2vid.convert import read_mat
from lipbench.baselines.speech2vid.framing import Framing
from lipbench.baselines.speech2vid.networks import DeblurNet, Speech2VidNet
from lipbench.baselines.speech2vid.sound import Kind
from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing

FORMAT = "lipbench.speech2vid/1"
_META = "__meta__"

Stills = Literal["around", "own", "spread"]
_FIX = "use v201.mat of github.com/joonson/yousaidthat or a file made by `lipbench train speech2vid`"


@dataclass(frozen=True)
class Drawer:
    """A generator and what it was trained on."""

    net: Speech2VidNet
    sound: Kind
    framing: Framing
    stills: Stills


def save(
    net: Speech2VidNet, path: Path, sound: Kind, framing: Framing, facts: Mapping[str, Any], stills: Stills = "around"
) -> Path:
    """Write an npz with float16 weights and float32 statistics; `facts` is JSON."""
    meta = {"format": FORMAT, "width": net.width, "sound": sound, "framing": framing, "stills": stills,
            "info": dict(facts)}  # fmt: skip
    arrays = {k: v.detach().cpu().numpy() for k, v in net.state_dict().items() if not k.endswith("batches_tracked")}
    # Variances of what comes from pictures of 0..255 do not fit into float16.
    half = {k: v if ".running_" in k else v.astype(np.float16) for k, v in arrays.items()}
    np.savez_compressed(path, allow_pickle=False, **{_META: np.array(json.dumps(meta))}, **half)
    return path


def load(path: str | Path) -> Drawer:
    """The generator in an npz of ours or in the published v201.mat, in eval mode.

    Raises:
        WeightsMissing: no such file.
        WeightsError: unreadable.
        WeightsMismatch: another network.
    """
    path = _existing(path)
    if not _is_npz(path):
        state = read_mat(path)
        net = _filled(_built(Speech2VidNet, state, "conv1_face.weight", 96, path), state, path)
        return Drawer(net, "htk", "eyes-nose", "spread")
    try:
        with np.load(path, allow_pickle=False) as z:
            meta = json.loads(str(z[_META]))
            state = {k: torch.from_numpy(z[k].astype(np.float32)) for k in z.files if k != _META}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"cannot read the weights {path}", str(error), _FIX) from error
    if meta.get("format") != FORMAT:
        raise WeightsMismatch(f"{path} holds no Speech2Vid network", f"its format is {meta.get('format')!r}", _FIX)
    with torch.device("meta"):
        net = Speech2VidNet(float(meta["width"]))
    return Drawer(_filled(net, state, path), meta["sound"], meta["framing"], meta.get("stills", "around"))


def load_deblur(path: str | Path) -> DeblurNet:
    """The deblurring network in the published v114.mat, in eval mode.

    Raises:
        WeightsMissing, WeightsError, WeightsMismatch: as `load`.
    """
    path = _existing(path)
    state = read_mat(path)
    return _filled(_built(DeblurNet, state, "supr0.weight", 64, path), state, path)


def _built(kind: Any, state: Mapping[str, Tensor], key: str, channels: int, path: Path) -> Any:
    """A network of the width that a layer of `channels` channels tells."""
    if key not in state:
        raise WeightsMismatch(f"{path} holds no {kind.__name__}", f"it has no {key}", _FIX)
    with torch.device("meta"):
        return kind(state[key].shape[0] / channels)


def _filled(net: Any, state: Mapping[str, Tensor], path: Path) -> Any:
    expected = net.state_dict()
    given = {k: torch.zeros((), dtype=torch.int64) for k in expected if k.endswith("num_batches_tracked")} | dict(state)
    wrong = sorted(expected.keys() ^ given.keys()) or [k for k in expected if expected[k].shape != given[k].shape]
    if wrong:
        shapes = [tuple(d[wrong[0]].shape) if wrong[0] in d else "absent" for d in (expected, given)]
        raise WeightsMismatch(
            f"{path} holds no {type(net).__name__}",
            f"{len(wrong)} entries differ, first {wrong[0]}: {shapes[0]} expected, {shapes[1]} found",
            _FIX,
        )
    nn.Module.load_state_dict(net, given, assign=True)
    return net.eval().requires_grad_(False)


def _existing(path: str | Path) -> Path:
    if not Path(path).is_file():
        raise WeightsMissing(f"there is no file {path}", "", "check the path, or `lipbench weights list`")
    return Path(path)


def _is_npz(path: Path) -> bool:
    return zipfile.is_zipfile(path)
