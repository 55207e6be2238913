"""lipbench: evaluate and benchmark lip-sync and visual dubbing methods.

lipbench.run("run.yaml")              plan, run, score; returns a RunResult
lipbench.metrics.psnr(a, b)           the metrics as functions
lipbench.metrics.sync.SyncNet()       the sync model
lipbench.baselines.wav2lip.Wav2LipGenerator  networks with the published state-dict keys
"""

import lazy_loader

from lipbench.core.system import refuse_windows

__version__ = "0.1.0.dev0"

refuse_windows()

# Everything loads on first use: `import lipbench` and `lipbench --help` stay free of torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
