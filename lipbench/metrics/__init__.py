"""Metrics, one file per family; `sync` holds the SyncNet judge.

Three of them are also plain functions on arrays, for use without any run:

    from lipbench.metrics import lpips, psnr, ssim
    psnr(prediction, reference)                 # uint8 RGB, (H, W, 3) or (T, H, W, 3); the clip's mean, dB
    ssim_per_frame(prediction, reference)       # (T,)
    lpips(prediction, reference, device="cuda")

They are loaded when first used: importing this package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lipbench.metrics.perceptual import lpips, lpips_per_frame
    from lipbench.metrics.signal_to_noise import psnr, psnr_per_frame
    from lipbench.metrics.structural import ssim, ssim_per_frame

__all__ = ["lpips", "lpips_per_frame", "psnr", "psnr_per_frame", "ssim", "ssim_per_frame"]

# No module here may be called like one of these functions: importing it would replace the function.
_HOME = {"lpips": "perceptual", "psnr": "signal_to_noise", "ssim": "structural"}


def __getattr__(name: str) -> Any:
    home = _HOME.get(name.removesuffix("_per_frame"))
    if home is None or name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
