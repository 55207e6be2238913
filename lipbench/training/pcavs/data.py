"""Batches. They depend on (seed, step) alone, so that a resumed run draws what it would have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.training.pcavs.clips import EDGE, PcAvsTrainingClip

#: Upper and lower inner lip among the 20 points of the mouth.
UPPER, LOWER = 14, 18


@dataclass(frozen=True)
class PcAvsBatch:
    """B moments, N >= B images of them: two where the clip has a second language, whose lips are others.

    Attributes:
        who: (B, 3, S, S) the person at another moment.
        pose: (B, 3, S, S) the moment in the original language.
        truth: (N, 3, S, S).
        mel: (N, 1, 80, 20).
        lips: (N, 40). All images are in [-1, 1].
        owner: (N,) the moment that each shows.
        pairs: (P, 2) images of one moment in two languages.
    """

    who: Tensor
    pose: Tensor
    truth: Tensor
    mel: Tensor
    lips: Tensor
    owner: Tensor
    pairs: Tensor

    def to(self, device: torch.device) -> PcAvsBatch:
        return PcAvsBatch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def draw(
    talks: Sequence[PcAvsTrainingClip], moments: int, size: int, rng: np.random.Generator, *, plain: bool = False
) -> PcAvsBatch:
    """Random moments; lit, moved and mirrored at random unless `plain`."""
    chosen = []
    for _ in range(moments):
        talk = talks[int(rng.integers(len(talks)))]
        now, other = (int(i) for i in rng.permutation(len(talk.at))[:2])
        chosen.append((talk, now, other))
    return assemble(chosen, size, rng, plain=plain)


def assemble(
    chosen: Sequence[tuple[PcAvsTrainingClip, int, int]], size: int, rng: np.random.Generator, *, plain: bool = False
) -> PcAvsBatch:
    """The batch of given (clip, image that is drawn, image of the person)."""
    who: list[NDArray[np.float32]] = []
    truth: list[NDArray[np.float32]] = []
    pose, mels, lips, owner, pairs = [], [], [], [], []
    for number, (talk, now, other) in enumerate(chosen):
        original, rest = talk.languages[0], talk.languages[1:]
        tags = (original, rest[int(rng.integers(len(rest)))]) if rest else (original,)
        look, moved = (_IDENTITY, _IDENTITY) if plain else (_random(rng, 2.0, 0.03), _random(rng, 1.0, 0.01))
        flip, gain = (False, np.ones(3)) if plain else (bool(rng.integers(2)), _light(rng))
        who.append(_image(talk.faces[original][other], size, look @ moved, flip, gain))
        if len(tags) == 2:
            pairs.append((len(truth), len(truth) + 1))
        for tag in tags:
            truth.append(_image(talk.faces[tag][now], size, look, flip, gain))
            mels.append(talk.mel(tag, int(rng.integers(len(talk.sounds[tag]))), int(talk.at[now])))
            lips.append(talk.lips[tag][talk.at[now]])
            owner.append(number)
        pose.append(truth[-len(tags)])
    seen, posed, shown = (torch.from_numpy(np.stack(p).transpose(0, 3, 1, 2)).contiguous() for p in (who, pose, truth))
    sounds = torch.from_numpy(np.stack(mels))[:, None]
    pair = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)
    return PcAvsBatch(seen, posed, shown, sounds, torch.from_numpy(np.stack(lips)), torch.tensor(owner), pair)


def heard(talks: Sequence[PcAvsTrainingClip], size: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """(B, 1, 80, 20) sounds of any frames and (B, 40) the lips under them."""
    mels, lips = [], []
    for _ in range(size):
        talk = talks[int(rng.integers(len(talks)))]
        tag = talk.languages[int(rng.integers(len(talk.languages)))]
        at = int(rng.integers(len(talk.lips[tag])))
        mels.append(talk.mel(tag, int(rng.integers(len(talk.sounds[tag]))), at))
        lips.append(talk.lips[tag][at])
    return torch.from_numpy(np.stack(mels))[:, None], torch.from_numpy(np.stack(lips))


def opening(lips: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 40) -> (...) px between the inner lips, less its mean over the clip."""
    return lips[..., 2 * LOWER + 1] - lips[..., 2 * UPPER + 1]


_IDENTITY = np.eye(3)


def _random(rng: np.random.Generator, shift: float, scale: float) -> NDArray[np.float64]:
    """(3, 3) around the middle of the image, shift in px of the cached crop."""
    k, (x, y) = 1 + rng.uniform(-scale, scale), rng.uniform(-shift, shift, 2)
    c = EDGE / 2 - 0.5
    return np.array([[k, 0, c - k * c + x], [0, k, c - k * c + y], [0, 0, 1]])


def _light(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.asarray(rng.uniform(0.8, 1.15) * rng.uniform(0.92, 1.08, 3))


def _image(
    face: NDArray[np.uint8], size: int, moved: NDArray[np.float64], flip: bool, gain: NDArray[np.float64]
) -> NDArray[np.float32]:
    """(EDGE, EDGE, 3) uint8 -> (size, size, 3) in [-1, 1]."""
    k = size / EDGE
    to = np.array([[k, 0, k / 2 - 0.5], [0, k, k / 2 - 0.5], [0, 0, 1]]) @ moved
    out = cv2.warpAffine(face, to[:2], (size, size), borderMode=cv2.BORDER_REPLICATE)
    lit = np.clip(out * gain, 0, 255).astype(np.float32) / 127.5 - 1
    return np.ascontiguousarray(lit[:, ::-1] if flip else lit)
