"""A small network as one npz: float16 weights, its width, and the facts of its training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from torch import nn

from lipbench.core.weights.opening import reading

_INFO = "__info__"
Net = TypeVar("Net", bound=nn.Module)
Small = TypeVar("Small", bound="SmallNet")


def save(net: nn.Module, width: int, path: Path, info: Mapping[str, Any]) -> Path:
    """Write the network; returns the path.

    Args:
        width: what `load` builds the network with.
        info: JSON, kept beside it.
    """
    arrays = {name: value.detach().cpu().numpy().astype(np.float16) for name, value in net.state_dict().items()}
    np.savez_compressed(path, __info__=json.dumps({"width": width, **info}), **arrays)
    return path


def load(build: Callable[[int], Net], path: Path, what: str) -> Net:
    """What `save` wrote, in eval mode.

    Args:
        build: width -> the network.
        what: for the error: "face network".

    Raises:
        WeightsMissing, WeightsError: no such file, or not such a file.
    """
    with reading(path, f"train the {what} or fetch it again") as path, np.load(path, allow_pickle=False) as z:
        net = build(int(json.loads(str(z[_INFO]))["width"]))
        net.load_state_dict({k: torch.from_numpy(z[k].astype(np.float32)) for k in z.files if k != _INFO})
    return net.eval()


class SmallNet(nn.Module):
    """A network that its width alone describes, with its file.

    Attributes:
        what: the network in an error's words.
    """

    what: ClassVar[str]

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @property
    def device(self) -> torch.device:
        """Where its weights are, and what it is told has to be."""
        return next(self.parameters()).device

    def save(self, path: Path, info: Mapping[str, Any]) -> Path:
        """float16 npz with the facts of its training; returns the path."""
        return save(self, self.width, path, info)

    @classmethod
    def from_file(cls: type[Small], path: Path) -> Small:
        """What `save` wrote, in eval mode.

        Raises:
            WeightsMissing, WeightsError: no such file, or not such a file.
        """
        return load(cls, path, cls.what)
