"""lipbench: evaluate and benchmark lip-sync and visual dubbing methods.

lipbench.run("run.yaml")              plan, run, score; returns a RunResult
lipbench.metrics.psnr(a, b)           the metrics as functions
lipbench.metrics.sync.SyncNet()       the sync model
lipbench.baselines.wav2lip.Wav2LipGenerator  networks with the published state-dict keys
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy
from lipbench.core.system import refuse_windows

__version__ = "0.1.0.dev0"

refuse_windows()

if TYPE_CHECKING:
    from lipbench.engine.api import run as run

# Everything loads on first use: `import lipbench` and `lipbench --help` stay free of torch.
__getattr__ = lazy(__name__, {"run": "engine.api"})
