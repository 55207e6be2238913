"""lipbench: evaluate and benchmark lip-sync and visual dubbing methods.

lipbench.run("run.yaml")              plan, run, score; returns a RunResult
lipbench.metrics.psnr(a, b)           the metrics as functions
lipbench.metrics.sync.SyncNet()       the judge
lipbench.baselines.wav2lip.Wav2LipGenerator  networks with the published state-dict keys
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from lipbench.core.system import refuse_windows

__version__ = "0.1.0.dev0"

refuse_windows()

if TYPE_CHECKING:
    from lipbench.engine.api import run as run

_FOLDERS = ("baselines", "core", "datasets", "engine", "faces", "lipnerf", "metrics", "reports")


def __getattr__(name: str) -> Any:
    # Everything loads on first use: `import lipbench` and `lipbench --help` stay free of torch.
    if name == "run":
        return importlib.import_module("lipbench.engine.api").run
    if name in _FOLDERS:
        return importlib.import_module(f"lipbench.{name}")
    raise AttributeError(f"module 'lipbench' has no attribute {name!r}")
