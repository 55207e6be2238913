"""Reading MakeItTalk's weights: the four published checkpoints, the packaged demo file, and small files of a clone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lipbench.baselines.makeittalk.autovc import AutoVC
from lipbench.baselines.makeittalk.image_net import ImageTranslator
from lipbench.baselines.makeittalk.landmark_nets import ContentBranch, SpeakerBranch
from lipbench.core.errors import WeightsMismatch, WeightsMissing
from lipbench.core.weights import states, torch_file
from lipbench.core.weights.opening import reading, unreadable

_FIX = "get the file again from the links in the README of github.com/yzhou359/MakeItTalk"
_TRAIN = "make one with `lipbench train makeittalk`"
#: network -> key of its state dict in the published file
KEYS: dict[type[nn.Module], str] = {
    ContentBranch: "model_g_face_id",
    SpeakerBranch: "G",
    AutoVC: "model",
    ImageTranslator: "G",
}
#: Files of upstream's repository that its networks were trained with; they are read where the user cloned it.
MEAN_STD = "src/dataset/utils/MEAN_STD_AUTOVC_RETRAIN_MEL_AU.txt"
FACE = "src/dataset/utils/STD_FACE_LANDMARKS.txt"
VOICE = "src/autovc/retrain_version/obama_emb.txt"

#: Prefix of the network's entries in the packaged file.
NET = "net."
#: Standard deviations that the packaged network's training saw at most.
LIMIT = 4.0

Net = TypeVar("Net", ContentBranch, SpeakerBranch, AutoVC, ImageTranslator)
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Content:
    """A content branch and what its input is standardized with: mean, std (80,); then clipped at +-limit."""

    net: ContentBranch
    mean: Float32
    std: Float32
    limit: float = float("inf")


def _read(path: Path) -> Mapping[str, Any]:
    """What is in a checkpoint.

    `ckpt_116_i2i_comb.pth` also holds a pickled optimizer and its options, which become empty objects.
    """
    loaded = torch_file.read(path, _FIX, stand_ins=True)
    if not isinstance(loaded, Mapping):
        raise unreadable(path, f"it holds a {type(loaded).__name__}", _FIX)
    return loaded


def load(path: str | Path, kind: type[Net]) -> Net:
    """The network of that kind in a published checkpoint, in eval mode. `module.` and `comb_mlp` are dropped.

    Raises:
        WeightsMissing, WeightsError: no such file, or no checkpoint.
        WeightsMismatch: it holds another network.
    """
    path = Path(path)
    held = _read(path)
    state = held.get(KEYS[kind])
    if not isinstance(state, Mapping):
        found = ", ".join(map(str, list(held)[:5]))
        raise WeightsMismatch(f"{path} holds no {kind.__name__}", f"it has no {KEYS[kind]!r}, but {found}", _FIX)
    plain = {str(k).removeprefix("module."): v for k, v in state.items()}
    tensors = {k: v for k, v in plain.items() if isinstance(v, Tensor) and not k.startswith("comb_mlp")}
    with torch.device("meta"):
        net = kind()
    return states.filled(net, tensors, path, _FIX)


def load_demo(path: str | Path) -> Content:
    """The packaged content branch, or one that `lipbench train makeittalk` made.

    Raises:
        WeightsMissing, WeightsError: no such file, or not a readable one.
        WeightsMismatch: it holds another network.
    """
    with reading(path, _TRAIN) as path, np.load(path, allow_pickle=False) as z:
        state = {k.removeprefix(NET): torch.from_numpy(z[k]) for k in z.files if k.startswith(NET)}
        mean, std = z["mean"].astype(np.float32), z["std"].astype(np.float32)
    first = state.get("fc_prior.0.weight")
    with torch.device("meta"):
        net = ContentBranch((256 if first is None else len(first)) / 256)
    return Content(states.filled(net, state, path, _TRAIN), mean, std, LIMIT)


def numbers(checkout: str | Path, name: str, count: int) -> NDArray[np.float64]:
    """(count,) numbers of a text file in a clone of upstream's repository.

    Raises:
        WeightsMissing: no such file.
        WeightsMismatch: not that many numbers.
    """
    return _numbers(Path(checkout) / name, count, "git clone https://github.com/yzhou359/MakeItTalk, set `checkout`")


def voice(path: str | Path) -> Float32:
    """(256,) voice embedding from a .npy or text file, made with Resemblyzer's VoiceEncoder.

    Raises:
        WeightsMissing, WeightsMismatch: no such file, not 256 numbers.
    """
    fix = "make one with Resemblyzer: VoiceEncoder().embed_utterance(preprocess_wav(FILE))"
    return _numbers(Path(path), 256, fix).astype(np.float32)


def _numbers(path: Path, count: int, fix: str) -> NDArray[np.float64]:
    if not path.is_file():
        raise WeightsMissing(f"there is no file {path}", "MakeItTalk's published networks need it", fix)
    try:
        found = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
        flat = np.asarray(found, np.float64).ravel()
    except (OSError, ValueError) as error:
        raise WeightsMismatch(f"{path} cannot be read", str(error).splitlines()[0], fix) from error
    if len(flat) != count or not np.isfinite(flat).all():
        raise WeightsMismatch(f"{path} is not the file that is needed", f"{len(flat)} numbers, wanted {count}", fix)
    return flat
