"""What this machine has: what `lipbench doctor` without a method prints."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lipbench import __version__
from lipbench.cli.list import what_it_lacks
from lipbench.core import registry, weights
from lipbench.core.devices import accelerators
from lipbench.core.errors import LipbenchError
from lipbench.core.system import usable_cores

#: package -> what needs it; none is installed with lipbench.
EXTRAS = {
    "ray": "`--executor ray` (pip install 'lipbench[ray]')",
    "espeakng_loader": "espeak-ng voices in generated corpora (pip install 'lipbench[speech]')",
    "transformers": "wav2vec2 features of ad-nerf (pip install transformers)",
}
#: Packages whose versions are told first when something fails.
REPORTED_PACKAGES = ("torch", "numpy", "scipy", "av", "opencv-python-headless", "numba", "pandas", "lpips", "librosa")
NEEDED_GB = 5.0  # of free disk: a demo run leaves about one


@dataclass(frozen=True)
class MachineFact:
    """One finding. `state`: ok, missing (something optional is not there) or wrong (lipbench will fail)."""

    group: str
    what: str
    state: str
    detail: str = ""
    fix: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def machine() -> list[MachineFact]:
    """Everything that decides what can run here; nothing is fetched, nothing is changed."""
    return [*_system(), *_packages(), *_devices(), *_weights(), *_methods()]


def _system() -> list[MachineFact]:
    lines = [
        MachineFact(
            "machine", "lipbench", "ok", f"{__version__}, Python {platform.python_version()} ({sys.executable})"
        ),
        MachineFact("machine", "system", "ok", f"{platform.system()} {platform.release()}, {platform.machine()}"),
        MachineFact("machine", "processor", "ok", f"{usable_cores()} of {os.cpu_count()} cores may be used"),
    ]
    if (memory := _memory_gb()) is not None:
        lines.append(MachineFact("machine", "memory", "ok" if memory > 3 else "wrong", f"{memory:.1f} GB"))
    for name, folder in (("here", Path.cwd()), ("weights", weights.folder())):
        place = next(p for p in (folder, *folder.parents) if p.exists())
        free, fine = shutil.disk_usage(place).free / 1e9, os.access(place, os.W_OK)
        state = "ok" if fine and free > NEEDED_GB else "wrong"
        fix = "" if state == "ok" else f"free some space (under {NEEDED_GB:g} GB left)" if fine else "it is read-only"
        lines.append(MachineFact("machine", f"disk ({name})", state, f"{free:.0f} GB free at {folder}", fix))
    return lines


def _memory_gb() -> float | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (ValueError, OSError, AttributeError):
        return None


def _packages() -> list[MachineFact]:
    lines = []
    versions = {}
    for name in REPORTED_PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            lines.append(MachineFact("packages", name, "wrong", "not installed", "reinstall lipbench"))
    lines.append(MachineFact("packages", "versions", "ok", ", ".join(f"{k} {v}" for k, v in versions.items())))
    lines.append(_bytecode())
    for name, purpose in EXTRAS.items():
        there = importlib.util.find_spec(name) is not None
        detail = "installed" if there else "not installed"
        lines.append(
            MachineFact("packages", name, "ok" if there else "missing", detail, "" if there else f"for {purpose}")
        )
    try:
        import lpips  # noqa: F401
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        fix = "install torchvision in the version that goes with torch"
        lines.append(
            MachineFact("packages", "lpips", "wrong", f"cannot be imported: {first}", f"LPIPS needs it; {fix}")
        )
    return lines


def _bytecode() -> MachineFact:
    """Whether every process compiles torch anew, because nobody keeps what the one before it compiled."""
    torch = importlib.util.find_spec("torch")
    kept = torch is not None and torch.cached is not None and Path(torch.cached).exists()
    if kept or not sys.dont_write_bytecode:
        return MachineFact("packages", "bytecode", "ok", "kept")
    detail = "not kept: each process compiles torch anew, which doubles what its start costs"
    return MachineFact("packages", "bytecode", "missing", detail, "unset PYTHONDONTWRITEBYTECODE")


def _devices() -> list[MachineFact]:
    import torch

    if torch.backends.mps.is_available():
        return [MachineFact("devices", "mps", "ok", "used only when LIPBENCH_DEVICE=mps asks for it; else the CPU is")]
    if not torch.cuda.is_available():
        if cards := accelerators():
            return [
                MachineFact(
                    "devices",
                    "GPU",
                    "missing",
                    f"{', '.join(cards)}: torch {torch.__version__} cannot use it",
                    "install a CUDA build of torch, or set LIPBENCH_DEVICE=cpu to use all cores",
                )
            ]
        return [
            MachineFact(
                "devices",
                "GPU",
                "missing",
                "no CUDA device that torch sees",
                "everything runs on the CPU; methods that need a GPU are refused",
            )
        ]
    lines = []
    for k in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(k)
        lines.append(MachineFact("devices", f"cuda:{k}", "ok", f"{found.name}, {found.total_memory / 2**30:.0f} GB"))
    return lines


def _weights() -> list[MachineFact]:
    lines = []
    for name in weights.registry():
        entry, found = weights.entry(name), weights.status(name)
        state = {"ok": "ok", "missing": "missing", "mismatch": "wrong"}[found.state]
        detail = entry.used_for if found.state != "mismatch" else found.remark
        lines.append(MachineFact("weights", name, state, detail, "" if found.state == "ok" else entry.how))
    return lines


def _methods() -> list[MachineFact]:
    lines = []
    for name in registry.names("methods"):
        try:
            _, answer, how = what_it_lacks(name)
        except LipbenchError as error:
            lines.append(MachineFact("methods", name, "wrong", error.what, error.fix))
            continue
        lines.append(MachineFact("methods", name, "ok" if answer == "yes" else "missing", answer, "; ".join(how)))
    return lines
