"""The two weight files of LPIPS v0.1 with AlexNet; no torch here, so that planning a run stays light."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.keys import sha256_file

#: Name in the weights registry: torchvision's AlexNet.
TRUNK = "alexnet"
#: weights/v0.1/alex.pth of the `lpips` package.
LINEAR_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"


def linear_file() -> Path:
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
    path = Path(folder) / "weights" / "v0.1" / "alex.pth"
    if not path.is_file():
        raise WeightsMissing("the linear layers of LPIPS are not here", f"there is no {path}", fix)
    digest = sha256_file(path)
    if digest != LINEAR_SHA256:
        why = f"its SHA-256 is {digest[:16]}..., expected {LINEAR_SHA256[:16]}..."
        raise WeightsMismatch(f"{path} is not LPIPS v0.1", why, fix)
    return path


def linear_sha256() -> str | None:
    """The hash of the linear layers, None while they cannot be used."""
    try:
        linear_file()
    except WeightsError:
        return None
    return LINEAR_SHA256
