"""Options of a compositor, and what it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError

INPAINTERS = ("temporal", "telea", "gated", "none")
#: Entry of the weights registry that "gated" needs.
GATED_WEIGHTS = "deepfill_celeba"


@dataclass(frozen=True)
class CompositeOptions:
    """How the head is put in.

    Attributes:
        inpainter: what fills the gap at neck and shoulders: "temporal" (other frames of the clip, then a classical
            fill), "telea" (the frame itself), "gated" (a gated-convolution network, needs weights), "none" (the old
            chin stays: the ablation).
        weights: the network's checkpoint for "gated"; the registered one when None.
        threshold: matte below which a pixel of the source's head counts as uncovered.
        levels: matte values that become 0 and 1: fields leave haze outside and faint holes inside a head.
        feather_px: softness added to the matte's edge, source pixels.
        reach: how far outside of the source's head the new one may show, in head sizes (root of its area).
        gap_smoothing: frames over which `Compositor.video` steadies the gap; 1 takes each by itself.
    """

    inpainter: str = "temporal"
    weights: str | Path | None = None
    threshold: float = 0.5
    levels: tuple[float, float] = (0.1, 0.9)
    feather_px: float = 1.0
    reach: float = 0.25
    gap_smoothing: int = 3

    def __post_init__(self) -> None:
        low, high = self.levels
        checks = {
            "inpainter": (self.inpainter in INPAINTERS, f"one of {', '.join(INPAINTERS)}"),
            "threshold": (0 < self.threshold < 1, "between 0 and 1"),
            "levels": (0 <= low < high <= 1, "two values in [0, 1], the lower first"),
            "feather_px": (0 <= self.feather_px <= 8, "0 to 8 px"),
            "reach": (0 < self.reach <= 2, "above 0, at most 2 head sizes"),
            "gap_smoothing": (self.gap_smoothing in (1, 3), "1 or 3 frames"),
        }
        for name, (good, allowed) in checks.items():
            if not good:
                raise UsageError(f"{name} = {getattr(self, name)!r} cannot be", "", f"it is {allowed}")


@dataclass(frozen=True)
class Render:
    """A rendered head.

    Attributes:
        s: number of the source frame that it goes into.
        rgb: (h, w, 3) float, PREMULTIPLIED colors in [0, 1]: the sum of w_i c_i over all samples but the background's.
        alpha: (h, w) float in [0, 1], 1 - T: the sum of those w_i.
        box: (x0, y0, x1, y1) px, where in the source the image lies; None: it is the whole frame. The image is
            resized to it.
        view: (x0, y0, x1, y1) px of the source, what is looked at of the result: the rest is not made. None: all of it.
    """

    s: int
    rgb: NDArray[np.floating]
    alpha: NDArray[np.floating]
    box: tuple[int, int, int, int] | None = None
    view: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        if self.rgb.shape != (*self.alpha.shape, 3):
            raise UsageError(
                f"a render of colors {self.rgb.shape} and matte {self.alpha.shape} does not fit together",
                "they are (h, w, 3) and (h, w)",
                "give both in the size that was rendered",
            )
