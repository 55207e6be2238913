"""Damage that a sync model must not mind, done to images that are in sync."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]


def jitter(n: int, margin: int, rng: np.random.Generator) -> Callable[[Frames, int], Frames]:
    """A crop that moves over (T, E, E, 3) frames with `margin` spare pixels: placed anywhere, trembling by a pixel."""
    base = rng.integers(0, margin + 1, 2)
    steps = rng.integers(-1, 2, (n, 2)) if rng.uniform() < 0.3 else np.zeros((n, 2), int)
    at = np.clip(base + steps, 0, margin)
    flip = rng.uniform() < 0.5

    def cut(frames: Frames, size: int) -> Frames:
        out = np.stack([f[y : y + size, x : x + size] for f, (y, x) in zip(frames, at, strict=True)])
        return out[:, :, ::-1] if flip else out

    return cut


def augment(frames: Frames, rng: np.random.Generator, harm: float = 1.0) -> Frames:
    """(T, S, S, 3) uint8 in other light and color, with some of: blur, low resolution, noise, JPEG, a mouth box.

    `harm` scales the chance of each damage: a network that has not found the lips yet learns faster from clean ones.
    """
    out = recolor(frames, rng)
    if rng.uniform() < 0.3 * harm:
        out = mouth_box(out, rng)
    kind = rng.uniform()
    if kind < 0.3 * harm:
        out = blur(out, float(rng.uniform(0.4, 2.2)))
    elif kind < 0.45 * harm:
        out = low_resolution(out, int(rng.integers(28, 80)))
    if rng.uniform() < 0.25 * harm:
        out = noise(out, float(rng.uniform(1, 8)), rng)
    if rng.uniform() < 0.35 * harm:
        out = jpeg(out, int(rng.integers(12, 90)))
    return out


def recolor(frames: Frames, rng: np.random.Generator) -> Frames:
    """Another exposure, contrast and white balance, the same in all frames."""
    gain = rng.uniform(0.7, 1.3) * rng.uniform(0.88, 1.12, 3)
    table = np.arange(256)[:, None]
    curve = np.clip((table - 127.5) * gain + 127.5 + rng.uniform(-35, 35), 0, 255).astype(np.uint8)
    return np.stack([curve[frames[..., c], c] for c in range(3)], axis=-1)


def blur(frames: Frames, sigma: float) -> Frames:
    """Gaussian softness, sigma in px of the sync model's input: a radiance field's, or a lens's."""
    return np.stack([cv2.GaussianBlur(np.ascontiguousarray(f), (0, 0), sigma) for f in frames])


def low_resolution(frames: Frames, edge: int) -> Frames:
    """Shrunk to `edge` px and enlarged again."""
    size = frames.shape[1]
    return np.stack(
        [cv2.resize(cv2.resize(f, (edge, edge), interpolation=cv2.INTER_AREA), (size, size)) for f in frames]
    )


def noise(frames: Frames, sigma: float, rng: np.random.Generator) -> Frames:
    """Gray noise, new in every frame; sigma in 0..255."""
    grain = rng.standard_normal(frames.shape[:3], dtype=np.float32)[..., None] * sigma
    return np.clip(frames + grain, 0, 255).astype(np.uint8)


def jpeg(frames: Frames, quality: int) -> Frames:
    """Every frame through JPEG."""
    out = [np.asarray(cv2.imdecode(cv2.imencode(".jpg", np.ascontiguousarray(f), [1, quality])[1], 1)) for f in frames]
    return np.stack(out).astype(np.uint8)


def mouth_box(frames: Frames, rng: np.random.Generator) -> Frames:
    """The lower face blurred and recolored in a box with a hard or soft border, as inpainting methods leave it."""
    size = frames.shape[1]
    top, bottom = (int(size * rng.uniform(*r)) for r in ((0.38, 0.48), (0.68, 0.80)))
    left, right = (int(size * rng.uniform(*r)) for r in ((0.22, 0.36), (0.64, 0.78)))
    mask = np.zeros((size, size), np.float32)
    mask[top:bottom, left:right] = 1.0
    feather = float(rng.choice([0.0, rng.uniform(1, 5)]))
    if feather > 0:
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), feather), np.float32)
    inside = blur(frames, float(rng.uniform(0.5, 1.6))).astype(np.float32) + rng.uniform(-14, 14, 3)
    mixed = frames + (inside - frames) * mask[None, ..., None]
    return np.clip(mixed, 0, 255).astype(np.uint8)
