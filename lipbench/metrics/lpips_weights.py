"""The two weight files of each LPIPS v0.1; no torch here, so that planning a run stays light."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.keys import sha256_file

Net = Literal["alex", "vgg"]


@dataclass(frozen=True)
class Files:
    """Where the weights of one LPIPS are.

    Attributes:
        trunk: name in the weights registry: torchvision's network.
        linear: file in weights/v0.1/ of the `lpips` package.
        linear_sha256: its hash.
        smallest: shorter side of a frame below which the trunk's last pooling has nothing to pool, px.
        title: of the network.
    """

    trunk: str
    linear: str
    linear_sha256: str
    smallest: int
    title: str


FILES: dict[Net, Files] = {
    "alex": Files(
        "alexnet", "alex.pth", "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0", 31, "AlexNet"
    ),
    "vgg": Files("vgg16", "vgg.pth", "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868", 16, "VGG-16"),
}


def linear_file(net: Net = "alex") -> Path:
    """The linear layers inside the installed `lpips` package, which is located, not imported.

    Raises:
        WeightsMissing: the package, or the file in it, is not there.
        WeightsMismatch: the file is not the published one.
    """
    found = importlib.util.find_spec("lpips")
    folder = next(iter(found.submodule_search_locations or ()), None) if found else None
    fix = "run `pip install --no-deps --force-reinstall lpips`"
    if folder is None:
        raise WeightsMissing("the linear layers of LPIPS are not here", "the package `lpips` is not installed", fix)
    path = Path(folder) / "weights" / "v0.1" / FILES[net].linear
    if not path.is_file():
        raise WeightsMissing("the linear layers of LPIPS are not here", f"there is no {path}", fix)
    digest, want = sha256_file(path), FILES[net].linear_sha256
    if digest != want:
        raise WeightsMismatch(
            f"{path} is not LPIPS v0.1", f"its SHA-256 is {digest[:16]}..., expected {want[:16]}...", fix
        )
    return path


def linear_sha256(net: Net = "alex") -> str | None:
    """The hash of the linear layers, None while they cannot be used."""
    try:
        linear_file(net)
    except WeightsError:
        return None
    return FILES[net].linear_sha256
