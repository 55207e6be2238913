"""Which sync models there are: networks with named weights. LSE numbers of two sync models never share a table.

A package adds one with an entry point that names a `SyncModel`:

    [project.entry-points."lipbench.sync_models"]
    my-model = "my_package.models:MY_MODEL"
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from lipbench.core import weights
from lipbench.core.errors import UsageError, WeightsMissing
from lipbench.core.keys import sha256_file
from lipbench.core.registry import unknown

if TYPE_CHECKING:
    from lipbench.metrics.sync.folded import FoldedSyncNet


@dataclass(frozen=True)
class SyncModel:
    """A sync model.

    Attributes:
        name: as in tables and options.
        weights: name in the weights registry.
        width: of its network.
        size: px of its `SyncNet`'s input; 0 for landmarks.
        file: the weights themselves, of a sync model that was given as a file; `weights` is then "".
        published: whether its numbers may stand beside published LSE-D and LSE-C (with the published protocol).
        description: one line.
        family: the metric family that it measures: "sync" for networks on pixels, whose numbers are LSE-D and LSE-C;
            "landmark-sync" for the one on landmarks, whose numbers have names of their own and stand beside them.
    """

    name: str
    weights: str
    width: float
    size: int
    published: bool
    description: str
    family: str = "sync"
    file: Path | None = None

    def path(self) -> Path:
        """The weights on this machine.

        Raises:
            WeightsError: they are missing, or not the pinned ones.
        """
        return self.file or weights.path(self.weights)

    def sha256(self) -> str | None:
        """Of the weights; None while they are missing."""
        return sha256_file(self.file) if self.file else weights.sha256(self.weights)


#: Of files with a network's weights.
SUFFIXES = (".model", ".pth", ".pt", ".tar", ".npz")

BUILTIN = (
    SyncModel(
        "syncnet_v2",
        "syncnet_v2",
        1.0,
        224,
        True,
        "the network behind published LSE-D and LSE-C (Chung and Zisserman 2016; weights of 2019)",
    ),
    SyncModel(
        "demo",
        "syncnet-demo",
        0.25,
        112,
        False,
        "a small network of our own, trained on generated faces; never beside published numbers",
    ),
    SyncModel(
        "landmarks",
        "landmark-sync",
        72,
        0,
        False,
        "follows the lips' landmarks, for generated and real people; measures sync_offset, sync_d, ..., never an LSE",
        "landmark-sync",
    ),
)


@cache
def sync_models() -> tuple[SyncModel, ...]:
    """All known sync models, built-ins first.

    Raises:
        UsageError: two packages claim one name, or an entry point does not name a SyncModel.
    """
    found = {sync_model.name: sync_model for sync_model in BUILTIN}
    for point in entry_points(group="lipbench.sync_models"):
        sync_model = point.load()
        package = point.dist.name if point.dist else point.value
        if not isinstance(sync_model, SyncModel):
            raise UsageError(
                f"the sync model {point.name!r} of {package} cannot be used",
                f"{point.value} is a {type(sync_model).__name__}, not a lipbench.metrics.sync.models.SyncModel",
                "correct or uninstall that package",
            )
        if sync_model.name in found:
            raise UsageError(
                f"two sync models are called {sync_model.name!r}", f"one comes from {package}", "uninstall one of them"
            )
        found[sync_model.name] = sync_model
    return tuple(found.values())


def sync_model(name: str) -> SyncModel:
    """The named sync model, or that of a file: a name with a folder or with a suffix of `SUFFIXES`.

    Raises:
        UnknownName: with the nearest names.
        WeightsMissing: there is no such file.
        WeightsError: the file holds no SyncNet.
    """
    if os.sep in name or Path(name).suffix in SUFFIXES:
        return _of_file(Path(name).expanduser().absolute())
    for found in sync_models():
        if found.name == name:
            return found
    raise unknown("sync-models", name, [j.name for j in sync_models()])


def pixel_model(name: str) -> SyncModel:
    """The named sync model, or that of a file, one that has LSE numbers.

    Raises:
        UsageError: it has none; else as `sync_model`.
    """
    found = sync_model(name)
    if found.family != "sync":
        raise UsageError(
            f"the sync model {name!r} has no LSE-D and LSE-C",
            f"its numbers have names of their own, in the metric family {found.family}",
            f"name {found.family} among the metrics; it needs no sync_model",
        )
    return found


def _of_file(path: Path) -> SyncModel:
    from lipbench.metrics.sync.files import read_shape

    if not path.is_file():
        raise WeightsMissing(f"there is no sync model {path}", "no such file", "name a file with a SyncNet's weights")
    shape = read_shape(path)
    name = f"{path.stem}@{sha256_file(path)[:8]}"
    return SyncModel(name, "", shape.width, shape.size, False, f"the weights in {path}", file=path)


def load(name: str, device: str = "cpu", *, bfloat16: bool = False) -> FoldedSyncNet:
    """The named sync model, ready to score. Kept in memory: a worker scores many clips.

    Raises:
        UnknownName: no such sync model.
        UsageError: it has no LSE numbers.
        WeightsMissing: its weights are not on this machine; the message holds the command that gets them.
        WeightsMismatch: the file there is not the pinned one.
        WeightsError: the file does not fit the network.
    """
    found = pixel_model(name)
    return _load(found, str(found.path()), found.sha256() or "", device, bfloat16)


@cache
def _load(found: SyncModel, path: str, sha256: str, device: str, bfloat16: bool) -> FoldedSyncNet:
    import torch

    from lipbench.metrics.sync.network import SyncNet

    net = SyncNet.from_file(path, width=found.width, size=found.size)
    return net.folded(device, torch.bfloat16 if bfloat16 else torch.float32)
