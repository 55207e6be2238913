"""Metrics, one file per family; `sync` holds the SyncNet sync model, `functional` the pure functions.

The functions are for use without any run:

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
    from lipbench.metrics.functional.landmarks import interocular as interocular
    from lipbench.metrics.functional.landmarks import lip_gap as lip_gap
    from lipbench.metrics.functional.landmarks import mouth_distance as mouth_distance
    from lipbench.metrics.functional.lpips import lpips as lpips
    from lipbench.metrics.functional.lpips import lpips_per_frame as lpips_per_frame
    from lipbench.metrics.functional.mesh import lip_vertex_error as lip_vertex_error
    from lipbench.metrics.functional.psnr import psnr as psnr
    from lipbench.metrics.functional.psnr import psnr_per_frame as psnr_per_frame
    from lipbench.metrics.functional.ssim import ssim as ssim
    from lipbench.metrics.functional.ssim import ssim_per_frame as ssim_per_frame
    from lipbench.metrics.functional.temporal import temporal_difference as temporal_difference
    from lipbench.metrics.functional.temporal import temporal_difference_per_frame as temporal_difference_per_frame

# No module of this folder may be called like one of these functions: importing it would replace the function.
_HOMES = {
    "interocular": "functional.landmarks",
    "lip_gap": "functional.landmarks",
    "lip_vertex_error": "functional.mesh",
    "lpips": "functional.lpips",
    "lpips_per_frame": "functional.lpips",
    "mouth_distance": "functional.landmarks",
    "psnr": "functional.psnr",
    "psnr_per_frame": "functional.psnr",
    "ssim": "functional.ssim",
    "ssim_per_frame": "functional.ssim",
    "temporal_difference": "functional.temporal",
    "temporal_difference_per_frame": "functional.temporal",
}
__all__ = [
    "interocular",
    "lip_gap",
    "lip_vertex_error",
    "lpips",
    "lpips_per_frame",
    "mouth_distance",
    "psnr",
    "psnr_per_frame",
    "ssim",
    "ssim_per_frame",
    "temporal_difference",
    "temporal_difference_per_frame",
]
__getattr__ = lazy(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
