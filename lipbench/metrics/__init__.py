"""Metrics, one file per family; `sync` holds the SyncNet judge.

Three of them are also plain functions on arrays, for use without any run:

    from lipbench.metrics import lpips, psnr, ssim
    psnr(prediction, reference)                 # uint8 RGB, (H, W, 3) or (T, H, W, 3); the clip's mean, dB
    ssim_per_frame(prediction, reference)       # (T,)
    lpips(prediction, reference, device="cuda")

They are loaded when first used: importing this package is cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.core.lazy import lazy

if TYPE_CHECKING:
    from lipbench.metrics.perceptual import lpips, lpips_per_frame
    from lipbench.metrics.signal_to_noise import psnr, psnr_per_frame
    from lipbench.metrics.structural import ssim, ssim_per_frame

__all__ = ["lpips", "lpips_per_frame", "psnr", "psnr_per_frame", "ssim", "ssim_per_frame"]

# No module here may be called like one of these functions: importing it would replace the function.
_HOMES = {
    "lpips": "perceptual",
    "lpips_per_frame": "perceptual",
    "psnr": "signal_to_noise",
    "psnr_per_frame": "signal_to_noise",
    "ssim": "structural",
    "ssim_per_frame": "structural",
}
__getattr__ = lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
