"""Batches that Speech2Vid learns from: moments, the images shown of them, and the sounds that go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.speech2vid.framing import BOX_SCALE, with_own, without_mouth
from lipbench.baselines.speech2vid.networks import DRAWN, SIZE, STILLS
from lipbench.baselines.speech2vid.sound import window_starts, windows
from lipbench.metrics.sync.protocol import CROP_SCALE
from lipbench.training.syncnet import cache
from lipbench.training.wav2lip.clips import LipTrainingClip

#: Of clips in one language, stills lie this many frames before or after the drawn one, so that their lips do not tell
#: its own.
NEAREST, FARTHEST = 5, 20


@dataclass(frozen=True)
class Speech2VidBatch:
    """audio (B, 1, 12, 35), stills (B, 15, 112, 112) 0..255; truth (B, 3, 109, 109) 0..1, and first, the first still
    where the answer lies, with its mouth: of a pair, the moment that is redrawn; its_sound, what is said there."""

    sound: Tensor
    its_sound: Tensor
    stills: Tensor
    truth: Tensor
    first: Tensor


def framed(crop: NDArray[np.uint8], shift: NDArray[np.float64], scale: float, flip: bool) -> NDArray[np.uint8]:
    """(112, 112, 3) RGB: the square around the face box, out of a cached BGR crop, moved by `shift` px."""
    # The sync model's crop, margin included, is 2 (1 + CROP_SCALE) MARGIN face half edges wide; its center lies
    # CROP_SCALE of one below the box's.
    edge = crop.shape[0]
    unit = edge / (2 * (1 + CROP_SCALE) * cache.MARGIN)
    k = SIZE / (2 * BOX_SCALE * unit) * scale
    x, y = edge / 2 - 0.5, edge / 2 - 0.5 - CROP_SCALE * unit
    center = SIZE / 2 - 0.5
    matrix = np.array([[k, 0, center - k * x + shift[0]], [0, k, center - k * y + shift[1]]])
    out = cv2.warpAffine(crop, matrix, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(out[:, ::-1, ::-1] if flip else out[..., ::-1])


def draw(talks: Sequence[LipTrainingClip], batch: int, rng: np.random.Generator) -> Speech2VidBatch:
    """Frames drawn at random, each with five stills and the audio that goes with it.

    Of a talk in several languages the stills are of another one, the first of them of the same moment, its mouth
    blanked. Of a talk in one language they are at least NEAREST frames away.
    """
    sound, its, stills, truth, first = [], [], [], [], []
    for _ in range(batch):
        talk = talks[int(rng.integers(len(talks)))]
        tags = talk.languages
        said, seen = (tags[int(i)] for i in (rng.permutation(len(tags))[:2] if len(tags) > 1 else (0, 0)))
        n = len(talk.faces[said])
        t = int(rng.integers(n))
        shown = with_own(t, n) if said != seen else _away(t, n, rng)
        shift, scale, flip = rng.normal(0, 1.5, 2), float(rng.uniform(0.95, 1.05)), bool(rng.integers(2))
        gain = rng.uniform(0.9, 1.1, 3) * rng.uniform(0.8, 1.15)
        faces = [talk.faces[said][t], *(talk.faces[seen][i] for i in shown)]
        clipped = np.clip(np.stack([framed(f, shift, scale, flip) for f in faces]) * gain, 0, 255).astype(np.float32)
        sound.append(_heard(talk, said, t, rng))
        its.append(_heard(talk, seen, shown[0], rng))
        inside = clipped[:2].transpose(0, 3, 1, 2)[:, :, 1 : 1 + DRAWN, 1 : 1 + DRAWN] / 255
        truth.append(inside[0])
        first.append(inside[1])
        if said != seen:
            clipped[1] = without_mouth(clipped[1])
        stills.append(clipped[1:].transpose(0, 3, 1, 2).reshape(3 * STILLS, SIZE, SIZE))
    return Speech2VidBatch(*(torch.from_numpy(np.stack(x)) for x in (sound, its, stills, truth, first)))


def _away(t: int, n: int, rng: np.random.Generator) -> list[int]:
    away = np.arange(max(0, t - FARTHEST), min(n, t + FARTHEST + 1))
    away = away[np.abs(away - t) >= NEAREST]
    return [int(i) for i in rng.choice(away, STILLS, replace=len(away) < STILLS)]


def _heard(talk: LipTrainingClip, tag: str, t: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """(1, 12, 35): the audio around frame t in one of its voices."""
    take = talk.sounds[tag][int(rng.integers(len(talk.sounds[tag])))]
    return windows(take, window_starts(len(talk.faces[tag]), talk.fps)[t : t + 1])[0]
