"""Batches of faces and sounds. They depend on (seed, step) alone, so that a resumed run draws what it would have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.networks import SIZE, SYNC_FRAMES
from lipbench.core.errors import TooShort
from lipbench.synthetic.corpus.spec import stream
from lipbench.training.wav2lip.clips import LipTrainingClip

HALF = SIZE // 2
STRIDES = (1, 2, 4)  # frames between the windows of a row


@dataclass(frozen=True)
class SyncBatch:
    """A batch.

    Attributes:
        mel: (B, 1, 80, 16).
        face: (B, 15, 48, 96) in [0, 1].
        together: (B, 1), 1 where they belong together.
    """

    mel: Tensor
    face: Tensor
    together: Tensor


@dataclass(frozen=True)
class RowBatch:
    """n windows of B clips, one after the other, and m wrong ones of each.

    Attributes:
        mel: (B n, 1, 80, 16).
        face: (B n, 15, 48, 96).
        wrong: (B m, 15, 48, 96).
        stride: (B,), frames between windows.
    """

    mel: Tensor
    face: Tensor
    wrong: Tensor
    stride: Tensor
    n: int


@dataclass(frozen=True)
class LipBatch:
    """A batch.

    Attributes:
        face: (B, 6, T, 96, 96).
        mels: (B, T, 1, 80, 16) of every frame.
        target: (B, 3, T, 96, 96); all images are in [0, 1].
        around: (B, K, 1, 80, 16), sounds of the windows from `contrast` before the first to `contrast` after the last,
            as far as the clip goes and repeated beyond: K = T - 4 + 2 contrast, window i is number i + contrast. Empty
            for single frames.
        valid: (B, K) bool, which of them are not repetitions.
    """

    face: Tensor
    mels: Tensor
    target: Tensor
    around: Tensor
    valid: Tensor

    def to(self, device: torch.device) -> LipBatch:
        return LipBatch(*(t.to(device) for t in (self.face, self.mels, self.target, self.around, self.valid)))


def sync_batch(talks: Sequence[LipTrainingClip], size: int, seed: int, step: int) -> SyncBatch:
    """Half of the faces show another moment of the clip than is heard (Wav2Lip, color_syncnet_train.py)."""
    rng = stream(seed, "wav2lip", "sync", step)
    mels, faces, together = [], [], []
    for _ in range(size):
        talk, tag, take, heard = _draw(talks, rng)
        same = bool(rng.integers(2))
        seen = heard if same else _other(talk.starts(tag), heard, rng)
        window = _flipped(talk.faces[tag][seen : seen + SYNC_FRAMES, HALF:], rng)
        mels.append(talk.mel(tag, take, heard))
        faces.append(_image(window).flatten(0, 1))
        together.append(float(same))
    return SyncBatch(torch.from_numpy(np.stack(mels))[:, None], torch.stack(faces), torch.tensor(together)[:, None])


def row_batch(
    talks: Sequence[LipTrainingClip], size: int, seed: int, step: int, *, n: int = 16, wrong: int = 0
) -> RowBatch:
    """Rows of windows 1, 2 or 4 frames apart, lit and blurred at random.

    Wrong windows show some of the same moments in another language: the same face, light and pose, other lips. Where
    the clip has one language only, a frame held.
    """
    rng = stream(seed, "wav2lip", "rows", step)
    mels: list[NDArray[np.float32]] = []
    faces, others, strides = [], [], []
    for _ in range(size):
        talk, tag, take, _ = _draw(talks, rng)
        fitting = [s for s in STRIDES if (n - 1) * s < talk.starts(tag)] or [1]
        stride = fitting[int(rng.integers(len(fitting)))]
        at = stride * np.arange(n)
        at = at[at < talk.starts(tag)]
        at = at + int(rng.integers(talk.starts(tag) - at[-1]))
        span = slice(at[0], at[-1] + SYNC_FRAMES)
        own = talk.faces[tag][span, HALF:]
        rest = [t for t in talk.languages if t != tag]
        if rest:
            false = talk.faces[rest[int(rng.integers(len(rest)))]][span, HALF:]
        else:
            false = np.repeat(own[int(rng.integers(len(own)))][None], len(own), axis=0)
        both = _softened(_lit(_flipped(np.concatenate([own, false]), rng), rng), rng)
        own_windows, false_windows = (_windows(part) for part in _image(both).split(len(own)))
        at = np.pad(at, (0, n - len(at)), mode="edge")  # a clip shorter than n windows repeats its last
        faces.append(own_windows[at - at[0]])
        others.append(false_windows[rng.permutation(at - at[0])[:wrong]])
        mels.extend(talk.mel(tag, take, int(k)) for k in at)
        strides.append(stride)
    return RowBatch(
        torch.from_numpy(np.stack(mels))[:, None], torch.cat(faces), torch.cat(others), torch.tensor(strides), n
    )


def lip_batch(
    talks: Sequence[LipTrainingClip],
    size: int,
    seed: int,
    step: int,
    *,
    frames: int = SYNC_FRAMES,
    paired: float = 0.0,
    mel_shift: int = 0,
    contrast: int = 0,
    pick: int = 1,
) -> LipBatch:
    """Target windows with their upper half, a reference window and the audio.

    Args:
        frames: T; 1 while no loss looks at several frames together.
        paired: share of references taken from the same moment of the clip in another language, which is what
            inference has in front of it; the rest are another window of the same video, as published.
        mel_shift: frames by which every frame's own audio is moved; upstream's training has -1, its inference 0.
        contrast: windows on either side whose audio is wanted, see `LipBatch.around`.
        pick: moments that are drawn for each, of which the one is taken that differs most from its reference.
    """
    rng = stream(seed, "wav2lip", "lips", frames, step)
    masked, mels, target, around, valid = [], [], [], [], []
    extra = frames - SYNC_FRAMES
    for _ in range(size):
        drawn = [_moment(talks, rng, extra, paired) for _ in range(pick)]
        talk, tag, take, start, source, at = max(drawn, key=_change) if pick > 1 else drawn[0]
        last = talk.starts(tag) - 1  # of the windows of five
        both = np.concatenate([talk.faces[tag][start : start + frames], talk.faces[source][at : at + frames]])
        both = _lit(_flipped(both, rng), rng)
        truth, reference = _image(both).transpose(0, 1).split(frames, dim=1)  # (3, T, 96, 96)
        upper = truth.clone()
        upper[:, :, HALF:] = 0
        masked.append(torch.cat((upper, reference)))
        mels.append(np.stack([talk.mel(tag, take, start + k + mel_shift) for k in range(frames)])[:, None])
        target.append(truth)
        if extra >= 0:
            wanted = np.arange(start - contrast, start + extra + contrast + 1)
            heard = wanted.clip(0, last)
            around.append(np.stack([talk.mel(tag, take, int(k)) for k in heard])[:, None])
            valid.append(wanted == heard)
    sounds = torch.from_numpy(np.stack(around)) if around else torch.zeros(size, 0, 1, 80, 16)
    known = torch.from_numpy(np.stack(valid)) if valid else torch.zeros(size, 0, dtype=torch.bool)
    return LipBatch(torch.stack(masked), torch.from_numpy(np.stack(mels)), torch.stack(target), sounds, known)


def _moment(
    talks: Sequence[LipTrainingClip], rng: np.random.Generator, extra: int, paired: float
) -> tuple[LipTrainingClip, str, int, int, str, int]:
    """A talk, its language, take and first frame, and the language and first frame of its reference."""
    talk, tag, take, start = _draw(talks, rng)
    starts = talk.starts(tag) - max(0, extra)
    start = min(start, max(0, starts - 1))
    others = [t for t in talk.languages if t != tag]
    if others and rng.uniform() < paired:
        return talk, tag, take, start, others[int(rng.integers(len(others)))], start
    return talk, tag, take, start, tag, _other(starts, start, rng)


def _change(moment: tuple[LipTrainingClip, str, int, int, str, int]) -> float:
    """Mean difference of target and reference in every other pixel of the lower half."""
    talk, tag, _, start, source, at = moment
    a, b = (talk.faces[t][k, HALF::2, ::2].astype(np.int16) for t, k in ((tag, start), (source, at)))
    return float(np.abs(a - b).mean())


def _draw(talks: Sequence[LipTrainingClip], rng: np.random.Generator) -> tuple[LipTrainingClip, str, int, int]:
    talk = talks[int(rng.integers(len(talks)))]
    tag = talk.languages[int(rng.integers(len(talk.languages)))]
    return talk, tag, int(rng.integers(len(talk.sounds[tag]))), int(rng.integers(talk.starts(tag)))


def _other(n: int, not_this: int, rng: np.random.Generator) -> int:
    """A number below n other than `not_this`."""
    if n < 2:
        raise TooShort("the clip has one window only", "another one is needed beside it", "use longer clips")
    return int(not_this + rng.integers(1, n)) % n


def _flipped(faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    return faces[:, :, ::-1] if rng.integers(2) else faces


def _lit(faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Other exposure and white balance, the same in all frames."""
    gain = rng.uniform(0.85, 1.15) * rng.uniform(0.95, 1.05, 3)
    return np.clip(faces * gain.astype(np.float32), 0, 255).astype(np.uint8)


def _softened(faces: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Every other row of windows as soft as a generator's drawing: the expert is to rate lips, not sharpness."""
    if rng.uniform() < 0.5:
        return faces
    sigma = float(rng.uniform(0.4, 1.5))
    return np.stack([cv2.GaussianBlur(np.ascontiguousarray(f), (0, 0), sigma) for f in faces])


def _image(faces: NDArray[np.uint8]) -> Tensor:
    """(T, h, w, 3) uint8 -> (T, 3, h, w) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(faces.transpose(0, 3, 1, 2))).float() / 255


def _windows(shown: Tensor) -> Tensor:
    """(T, 3, h, w) -> (T - 4, 15, h, w)."""
    n = len(shown) - SYNC_FRAMES + 1
    return torch.cat([shown[k : k + n] for k in range(SYNC_FRAMES)], dim=1)
