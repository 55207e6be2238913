"""Small networks with random weights, and MatConvNet files of them as the published ones are laid out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from lipbench.baselines.speech2vid.networks import DeblurNet, Speech2VidNet


def arrays(net: nn.Module) -> dict[str, np.ndarray]:
    return {key: value.numpy() for key, value in net.state_dict().items()}


@pytest.fixture(scope="session")
def mat_file(matconvnet: ModuleType, published: ModuleType) -> Callable[..., Path]:
    """`mat_file(net, path, face_first=False)`: the published graph with the weights of `net`, as a MatConvNet file.

    Parameter names tell nothing and layers lie out of order, so that only the graph says what belongs together.
    """

    def write(net: nn.Module, path: Path, *, face_first: bool = False) -> Path:
        if isinstance(net, Speech2VidNet):
            graph = published.v201(arrays(net), face_first=face_first)
        else:
            graph = published.v114(arrays(net))
        secret = {name: f"p{i}" for i, name in enumerate(graph.values)}
        layers = [{**layer, "params": [secret[p] for p in layer["params"]]} for layer in graph.layers]
        file: Path = matconvnet.write(layers[::-1], {secret[k]: v for k, v in graph.values.items()}, path)
        return file

    return write


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
