"""MatConvNet files as the published ones are laid out, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from torch import nn

from lipbench.baselines.speech2vid.networks import DeblurNet, Speech2VidNet


def cell(*names: str) -> np.ndarray:
    out = np.empty(len(names), object)
    out[:] = names
    return out


def struct(rows: list[dict[str, Any]]) -> np.ndarray:
    out = np.empty((1, len(rows)), [(k, object) for k in rows[0]])
    for i, row in enumerate(rows):
        out[0, i] = tuple(row.values())
    return out


def write_mat(net: nn.Module, path: Path, *, face_first: bool = False) -> Path:
    """A DagNN struct: filters HWIO, moments [mean, sigma], parameter names that tell nothing, layers out of order."""
    layers: list[dict[str, Any]] = []
    params: list[dict[str, Any]] = []

    def add(name: str, kind: str, inputs: tuple[str, ...], values: list[np.ndarray], block: dict[str, Any]) -> None:
        names = [f"p{len(params) + i}" for i in range(len(values))]
        params.extend({"name": n, "value": v.astype(np.float32)} for n, v in zip(names, values, strict=True))
        layers.append(
            {"name": name, "type": f"dagnn.{kind}", "inputs": cell(*inputs), "outputs": cell(f"y_{name}"),
             "params": cell(*names), "block": block}
        )  # fmt: skip

    last = {"audio": "audio_in", "face": "face_in", "": "fused"}
    for name, part in net.named_children():
        stream = name.rpartition("_")[2] if name.endswith(("audio", "face")) else ""
        source = last[stream]
        if name == "conv8":
            both = ("face", "audio") if face_first else ("audio", "face")
            add("concat8", "Concat", tuple(last[s] for s in both), [], {"dim": 3.0})
            source = "y_concat8"
        if isinstance(part, nn.Conv2d):
            value = part.weight.detach().numpy().transpose(2, 3, 1, 0)
            if name == "conv8" and face_first:
                value = np.roll(value, value.shape[2] // 2, 2)
            add(
                name,
                "Conv",
                (source,),
                [value, part.bias.detach().numpy()[:, None]],
                {"size": np.array(value.shape, float)},
            )
        else:
            assert isinstance(part, nn.BatchNorm2d)
            sigma = np.sqrt(part.running_var.numpy() + 1e-5)
            moments = np.stack([part.running_mean.numpy(), sigma], 1)
            scale = [part.weight.detach().numpy()[:, None], part.bias.detach().numpy()[:, None]]
            add(name, "BatchNorm", (source,), [*scale, moments], {"epsilon": 1e-5})
        last[stream] = f"y_{name}"
    scipy.io.savemat(path, {"net": {"layers": struct(layers[::-1]), "params": struct(params)}})
    return path


@pytest.fixture(scope="session")
def mat_file() -> Callable[..., Path]:
    return write_mat


@pytest.fixture(scope="session")
def small_net() -> Speech2VidNet:
    """An eighth of the width, weights strong enough that sound and stills show in the answer."""
    torch.manual_seed(3)
    net = Speech2VidNet(0.125)
    for weight in net.parameters():
        if weight.dim() == 4:
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 2)
    net.bn1_face.running_var.fill_(1e5)  # the stills are 0..255; more than float16 holds
    nn.init.normal_(net.conv5_3.weight, std=0.02)
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def small_deblur() -> DeblurNet:
    torch.manual_seed(4)
    return DeblurNet(0.125).eval().requires_grad_(False)
