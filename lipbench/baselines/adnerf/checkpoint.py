"""Published checkpoints of AD-NeRF: `*_head.tar` and `*_body.tar`, read and written.

Both hold a coarse and a fine network and an AudioNet; the head's also the attention network. The torso's AudioNet is
made and saved by the published code and never used: the torso hears with the head's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lipbench.baselines.adnerf.audionet import AudioNet
from lipbench.baselines.adnerf.torso_training import TORSO_DIM
from lipbench.baselines.adnerf.training import DIM, AudioCodes
from lipbench.core.errors import WeightsError, WeightsMismatch
from lipbench.core.weights import torch_file
from lipbench.core.weights.opening import unreadable
from lipbench.nerf.config import FieldConfig
from lipbench.nerf.encoding import encoded_size
from lipbench.nerf.fused_mlp import FusedMLPField
from lipbench.nerf.mlp import MLPField, from_adnerf, to_adnerf
from lipbench.nerf.model import HeadField

NETWORKS = ("network_fn_state_dict", "network_fine_state_dict")
AUDIO, ATTENTION = "network_audnet_state_dict", "network_audattnet_state_dict"
WIDTH = 256
_FIX = "give a file like 400000_head.tar or 400000_body.tar"


def load_head(path: str | Path) -> tuple[MLPField, MLPField, AudioCodes, int]:
    """Read AD-NeRF's head checkpoint (NeRFs/HeadNeRF/run_nerf.py).

    Returns:
        Coarse and fine network (8 x 256, 64-d condition), the audio networks, and the iteration.

    Raises:
        WeightsError: not such a file.
    """
    with _reading(path, "head"):
        state = _held(path, (*NETWORKS, AUDIO, ATTENTION))
        audio = AudioCodes()
        audio.audnet.load_state_dict(state[AUDIO])
        audio.audattnet.load_state_dict(state[ATTENTION])
        coarse, fine = _networks(state, DIM, path)
        return coarse, fine, audio.eval(), int(state.get("global_step", 0))


def load_torso(path: str | Path) -> tuple[MLPField, MLPField, int]:
    """Read AD-NeRF's torso checkpoint (NeRFs/TorsoNeRF/run_nerf.py).

    Returns:
        Coarse and fine network (8 x 256, condition of 106: 64 of the audio, 42 of the pose), and the iteration.

    Raises:
        WeightsError: not such a file.
    """
    with _reading(path, "torso"):
        state = _held(path, NETWORKS)
        coarse, fine = _networks(state, TORSO_DIM, path)
        return coarse, fine, int(state.get("global_step", 0))


def save_head(path: str | Path, field: HeadField, audio: AudioCodes, step: int) -> Path:
    """Write a head as the published code would; see `save_torso`."""
    state = _layout(field, DIM, audio.audnet, step)
    torch.save({**state, ATTENTION: audio.audattnet.state_dict()}, path)
    return Path(path)


def save_torso(path: str | Path, field: HeadField, step: int) -> Path:
    """Write a torso as the published code would, for that code to go on with or to render.

    Adam's moments begin anew. The AudioNet in it is a fresh one, as in published files.

    Args:
        step: iterations done.

    Raises:
        WeightsMismatch: the field is not the published one.
    """
    torch.save(_layout(field, TORSO_DIM, AudioNet(DIM), step), path)
    return Path(path)


def is_published(config: FieldConfig) -> bool:
    """Whether the published code would render networks of this configuration as we do."""
    return (
        (config.field, config.proposal, config.interval, config.activation) == ("mlp", "network", "slab", "relu")
        and (config.width, config.depth, config.latent) == (WIDTH, 8, 0)
        and (config.position_frequencies, config.direction_frequencies) == (10, 4)
        and (config.position_scale, config.density_scale) == (1.0, 1.0)
    )


def _layout(field: HeadField, condition: int, audnet: AudioNet, step: int) -> dict[str, Any]:
    coarse, fine = field.coarse, field.fine
    if not is_published(field.config) or not isinstance(coarse, MLPField) or not isinstance(fine, MLPField):
        raise WeightsMismatch(
            "this field has no published layout",
            f"it is {field.config.field} of width {field.config.width} with encodings or densities of its own",
            "train it with `preset: adnerf`, `field: mlp`",
        )
    if coarse.condition != condition:
        raise WeightsMismatch(
            f"this field takes {coarse.condition} numbers per frame",
            f"the published one takes {condition}",
            "give the head to save_head and the torso to save_torso",
        )
    states = [to_adnerf(net) for net in (coarse, fine)]
    return {
        "global_step": step,
        NETWORKS[0]: states[0],
        NETWORKS[1]: states[1],
        AUDIO: audnet.state_dict(),
        "optimizer_state_dict": _adam([*states[0].values(), *states[1].values()]),
        "optimizer_aud_state_dict": _adam(list(audnet.state_dict().values())),
    }


def _adam(values: list[torch.Tensor]) -> dict[str, Any]:
    """The state of an optimizer that has not begun."""
    return torch.optim.Adam([nn.Parameter(v) for v in values], lr=5e-4).state_dict()


def _held(path: str | Path, names: tuple[str, ...]) -> dict[str, Any]:
    state = torch_file.read(path, _FIX)
    if not isinstance(state, dict):
        raise unreadable(path, f"it holds a {type(state).__name__}", _FIX)
    missing = [name for name in names if name not in state]
    if missing:
        raise KeyError(f"it has no {missing[0]}")
    return state


def _networks(state: dict[str, Any], condition: int, path: str | Path) -> tuple[MLPField, MLPField]:
    found = state[NETWORKS[0]]["pts_linears.0.weight"].shape[1] - encoded_size(10)
    if found != condition:
        raise WeightsMismatch(
            f"{path} holds another network",
            f"it takes {found} numbers per frame; AD-NeRF's head takes {DIM}, its torso {TORSO_DIM}",
            "give the head's file (*_head.tar) to load_head and the torso's (*_body.tar) to load_torso",
        )
    nets = [
        from_adnerf(FusedMLPField(condition, width=WIDTH), state[name], Path(path).name).eval() for name in NETWORKS
    ]
    return nets[0], nets[1]


@contextmanager
def _reading(path: str | Path, part: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"cannot read {path} as AD-NeRF's {part}",
            str(error).splitlines()[0],
            f"give a file like 400000_{'head' if part == 'head' else 'body'}.tar",
        ) from error
