"""Which judges there are. A judge is a network with named weights; LSE numbers of two judges never share a table.

A package adds one with an entry point that names a `Judge`:

    [project.entry-points."lipbench.judges"]
    my-judge = "my_package.judges:MY_JUDGE"
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from lipbench.core import weights
from lipbench.core.errors import UsageError
from lipbench.core.registry import unknown

if TYPE_CHECKING:
    from lipbench.metrics.sync.folded import FoldedSyncNet


@dataclass(frozen=True)
class Judge:
    """A judge.

    Attributes:
        name: as in tables and options.
        weights: name in the weights registry.
        width: of its `SyncNet`.
        size: of its `SyncNet`.
        published: whether its numbers may stand beside published LSE-D and LSE-C (with the published protocol).
        description: one line.
    """

    name: str
    weights: str
    width: float
    size: int
    published: bool
    description: str


BUILTIN = (
    Judge(
        "syncnet_v2",
        "syncnet_v2",
        1.0,
        224,
        True,
        "the network behind published LSE-D and LSE-C (Chung and Zisserman 2016; weights of 2019)",
    ),
    Judge(
        "demo",
        "syncnet-demo",
        0.25,
        112,
        False,
        "a small network of our own, trained on generated faces; never beside published numbers",
    ),
)


@cache
def judges() -> tuple[Judge, ...]:
    """All known judges, built-ins first.

    Raises:
        UsageError: two packages claim one name, or an entry point does not name a Judge.
    """
    found = {judge.name: judge for judge in BUILTIN}
    for point in entry_points(group="lipbench.judges"):
        judge = point.load()
        package = point.dist.name if point.dist else point.value
        if not isinstance(judge, Judge):
            raise UsageError(
                f"the judge {point.name!r} of {package} cannot be used",
                f"{point.value} is a {type(judge).__name__}, not a lipbench.metrics.sync.judges.Judge",
                "correct or uninstall that package",
            )
        if judge.name in found:
            raise UsageError(
                f"two judges are called {judge.name!r}", f"one comes from {package}", "uninstall one of them"
            )
        found[judge.name] = judge
    return tuple(found.values())


def judge(name: str) -> Judge:
    """The named judge.

    Raises:
        UnknownName: with the nearest names.
    """
    for found in judges():
        if found.name == name:
            return found
    raise unknown("judges", name, [j.name for j in judges()])


def load(name: str, device: str = "cpu", *, bfloat16: bool = False) -> FoldedSyncNet:
    """The named judge, ready to score. Kept in memory: a worker scores many clips.

    Raises:
        UnknownName: no such judge.
        WeightsMissing: its weights are not on this machine; the message holds the command that gets them.
        WeightsMismatch: the file there is not the pinned one.
        WeightsError: the file does not fit the network.
    """
    found = judge(name)
    path = weights.path(found.weights)
    return _load(found, str(path), weights.sha256(found.weights) or "", device, bfloat16)


@cache
def _load(found: Judge, path: str, sha256: str, device: str, bfloat16: bool) -> FoldedSyncNet:
    import torch

    from lipbench.metrics.sync.network import SyncNet

    net = SyncNet.from_file(path, width=found.width, size=found.size)
    return net.folded(device, torch.bfloat16 if bfloat16 else torch.float32)
