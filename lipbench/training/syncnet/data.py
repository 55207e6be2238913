"""Batches of consecutive windows, drawn from cached clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.metrics.sync.protocol import COLUMNS_PER_FRAME, TAIL, WINDOW_COLUMNS, WINDOW_FRAMES
from lipbench.training.syncnet.augment import augment, jitter
from lipbench.training.syncnet.cache import CachedClip

#: Inputs are trained as (frame - MEAN) / SCALE and MFCC / MFCC_SCALE; `absorb_scaling` puts that into the first layers.
MEAN, SCALE, MFCC_SCALE = 127.5, 255.0, 10.0


@dataclass(frozen=True)
class SyncNetBatch:
    """A batch.

    Attributes:
        frames: (B n, 15, S, S) scaled, channels-last.
        sound: (B n, 1, 13, 20) scaled.
        still: (B, 15, S, S).
    """

    frames: Tensor
    sound: Tensor
    still: Tensor
    n: int


def stack(frames: NDArray[np.uint8], n: int) -> NDArray[np.float32]:
    """(n, S, S, 15) scaled windows of (n + 4, S, S, 3) frames."""
    scaled = (frames.astype(np.float32) - MEAN) / SCALE
    return np.concatenate([scaled[t : t + n] for t in range(WINDOW_FRAMES)], axis=3)


def sound_windows(features: NDArray[np.float32], start: int, n: int) -> NDArray[np.float32]:
    """(n, 1, 13, 20) scaled windows of (13, C) features from video frame `start` on."""
    at = [COLUMNS_PER_FRAME * (start + i) for i in range(n)]
    return np.stack([features[:, a : a + WINDOW_COLUMNS] for a in at])[:, None] / MFCC_SCALE


def draw(
    clips: Sequence[CachedClip], size: int, rng: np.random.Generator, *, batch: int = 8, n: int = 16, harm: float = 1.0
) -> SyncNetBatch:
    """A batch of `batch` clips with `n` consecutive windows each, images and audio augmented.

    `harm` 0..1 scales how often the images are damaged, see `augment.augment`.
    """
    frames, sound, still = [], [], []
    for _ in range(batch):
        clip = clips[int(rng.integers(len(clips)))]
        start = int(rng.integers(max(1, clip.facts.n_frames - TAIL - n + 1)))
        span = slice(start, start + n + WINDOW_FRAMES - 1)
        take = clip.sound[int(rng.integers(len(clip.sound)))].copy()
        take[0] += rng.uniform(-3.0, 3.0)  # gain: c0 is the log energy
        cut = jitter(len(clip.frames[span]), clip.frames.shape[1] - size, rng)
        shown = augment(cut(clip.frames[span], size), rng, harm)
        frames.append(stack(shown, n))
        sound.append(sound_windows(take, start, n))
        if clip.damped is not None and rng.uniform() < 0.7:
            k = int(rng.integers(n))
            less = cut(clip.damped[span], size)[k : k + WINDOW_FRAMES]
        else:  # one frame, held
            less = np.repeat(shown[int(rng.integers(len(shown)))][None], WINDOW_FRAMES, axis=0)
        still.append(stack(less, 1)[0])
    pixels = torch.from_numpy(np.concatenate(frames)).permute(0, 3, 1, 2)  # channels-last as it lies in memory
    return SyncNetBatch(
        pixels, torch.from_numpy(np.concatenate(sound)), torch.from_numpy(np.stack(still)).permute(0, 3, 1, 2), n
    )
