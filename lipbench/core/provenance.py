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

#: Packages whose version can move a number.
PACKAGES = ("numpy", "scipy", "torch", "opencv-python-headless", "av", "soxr", "librosa", "scikit-image", "lpips")


@cache
def provenance() -> dict[str, Any]:
    """Facts about this process: lipbench version and commit, package versions, CPU, GPU, host.

    Does not import torch: the GPU is read from the driver's files.
    """
    from lipbench import __version__

    return {
        "lipbench": __version__,
        **_commit(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": f"{platform.system()}-{platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "gpus": _gpus(),
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
        run = [subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True, timeout=10, check=True)
               for args in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])]  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": run[0].stdout.strip(), "dirty": bool(run[1].stdout.strip())}


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _gpus() -> list[str]:
    names = []
    for info in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in info.read_text().splitlines():
            if line.startswith("Model:"):
                names.append(line.split(":", 1)[1].strip())
    return names
