"""Where a number came from: code, versions, hardware. Recorded beside every result, never part of a key."""

from __future__ import annotations

import os
import platform
import socket
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from lipbench import __version__
from lipbench.core.devices import accelerators, asked_device
from lipbench.core.system import processor_name

#: Packages whose version can move a number.
PACKAGES = ("numpy", "scipy", "torch", "opencv-python-headless", "av", "soxr", "librosa", "scikit-image", "lpips")


@cache
def provenance() -> dict[str, Any]:
    """Facts about this process: lipbench version and commit, package versions, CPU, GPU, host.

    Does not import torch; "gpus" are all the machine's cards, or the Mac's own when it was asked for.
    """
    return {
        "lipbench": __version__,
        **_commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": f"{platform.system()}-{platform.machine()}",
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "gpus": ["Apple GPU (MPS)"] if asked_device() == "mps" else accelerators(),
        "host": socket.gethostname(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> dict[str, Any]:
    """Commit and dirty flag, when lipbench runs from a checkout of its own repository."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    try:
        run = [
            subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, timeout=10, check=True)
            for args in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        ]
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": run[0].stdout.strip(), "dirty": bool(run[1].stdout.strip())}
