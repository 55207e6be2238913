"""Metrics, one file per family; `sync` holds the SyncNet sync model, `functional` the pure functions.

The functions are for use without any run:

    from lipbench.metrics import lpips, psnr, ssim
    psnr(prediction, reference)                 # uint8 RGB, (H, W, 3) or (T, H, W, 3); the clip's mean, dB
    ssim_per_frame(prediction, reference)       # (T,)
    lpips(prediction, reference, device="cuda")

They are loaded when first used: importing this package is cheap.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
