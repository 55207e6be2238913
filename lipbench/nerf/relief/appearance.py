"""How the head looks in other light and from other sides: images of it at rest that a frame's code mixes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lipbench.nerf.relief.registration import Canvas
from lipbench.nerf.relief.surface import Float32

FRAMES = 200  # that the appearances come from; the others' codes are told by them
#: Raw density that a mask's presence is worth at the start, and how much of it counts against colors.
PRESENCE, PRESENCE_WEIGHT = 6.0, 0.25
DARKEST = 0.02  # of a color, so that its logit is finite


class Appearances(NamedTuple):
    """What frames have beside their mean.

    Attributes:
        images: (n, m, K, 4) logits of colors and raw density to add.
        codes: (T, K) how much of each a frame has; the first ones' standard deviation is 1.
    """

    images: Float32
    codes: Float32


def appearances(canvas: Canvas, warps: Float32, count: int) -> Appearances:
    """The principal components of frames put back onto the head at rest.

    Args:
        canvas: the head at rest.
        warps: (T, h, w, 2) dm, see `registration.register`.
        count: K, at most; fewer where there are not as many frames.
    """
    frames = len(canvas.scene)
    some = np.unique(np.linspace(0, frames - 1, FRAMES).round().astype(int))
    images, masks = zip(*(canvas.head(t, warps[t]) for t in some), strict=True)
    mask = np.stack(masks)
    shown = mask.sum(0)
    mean = np.zeros((*canvas.size, 3), np.float32)
    for image, one in zip(images, mask, strict=True):
        mean += _logit(image) * one[..., None]
    mean /= np.maximum(shown, 1)[..., None]
    presence = shown / len(some)

    def beside(image: NDArray[np.uint8], one: Float32) -> Float32:
        """(n * m * 4,) what a frame has beside the mean, in what counts alike."""
        color = (_logit(image) - mean) * one[..., None]
        held = PRESENCE_WEIGHT * PRESENCE * (one - presence)[..., None]
        return np.concatenate([color, held], 2).reshape(-1)

    rows = np.empty((len(some), mean.size // 3 * 4), np.float32)
    for row, image, one in zip(rows, images, mask, strict=True):
        row[:] = beside(image, one)
    power, axes = np.linalg.eigh((rows @ rows.T).astype(np.float64))
    k = min(count, len(some) - 1)
    power, axes = np.maximum(power[::-1][:k], 1e-9), axes[:, ::-1][:, :k]
    basis = ((axes / np.sqrt(power)).T.astype(np.float32)) @ rows  # (K, n * m * 4), orthonormal
    unit = float(np.sqrt(power[0] / len(some))) if k else 1.0
    told = {int(t): row for t, row in zip(some, rows @ basis.T, strict=True)}
    codes = np.stack([told[t] if t in told else basis @ beside(*canvas.head(t, warps[t])) for t in range(frames)])
    scaled = (unit * basis).reshape(k, *canvas.size, 4)
    scaled[..., 3] /= PRESENCE_WEIGHT
    return Appearances(np.ascontiguousarray(scaled.transpose(1, 2, 0, 3)), (codes / unit).astype(np.float32))


def _logit(image: NDArray[np.uint8]) -> Float32:
    """Of levels, as the fine grid holds colors."""
    value = np.clip(image.astype(np.float32) / 255, DARKEST, 1 - DARKEST)
    return np.log(value / (1 - value))
