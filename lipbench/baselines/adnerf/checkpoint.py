"""Published `*_head.tar` checkpoints of AD-NeRF: the two head networks and the two audio networks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from lipbench.baselines.adnerf.training import AudioCodes
from lipbench.core.errors import WeightsError
from lipbench.lipnerf.field.mlp import MLPField, from_adnerf

KEYS = ("network_fn_state_dict", "network_fine_state_dict", "network_audnet_state_dict", "network_audattnet_state_dict")


def load_head(path: str | Path) -> tuple[MLPField, MLPField, AudioCodes, int]:
    """Read AD-NeRF's head checkpoint (NeRFs/HeadNeRF/run_nerf.py).

    Returns:
        Coarse and fine network (8 x 256, 64-d condition), the audio networks, and the iteration.

    Raises:
        WeightsError: not such a file.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        missing = [key for key in KEYS if key not in state]
        if missing:
            raise KeyError(f"it has no {missing[0]}")
        nets = []
        for key in KEYS[:2]:
            net = MLPField(condition=64, width=256)
            from_adnerf(net, state[key])
            nets.append(net.eval())
        audio = AudioCodes()
        audio.audnet.load_state_dict(state[KEYS[2]])
        audio.audattnet.load_state_dict(state[KEYS[3]])
    except (OSError, KeyError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"cannot read {path} as AD-NeRF's head", str(error).splitlines()[0], "give a file like 400000_head.tar"
        ) from error
    return nets[0], nets[1], audio.eval(), int(state.get("global_step", 0))
