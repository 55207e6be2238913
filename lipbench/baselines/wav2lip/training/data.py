"""What Wav2Lip's training sees and hears: face crops cut as inference cuts them, and spectrograms.

Batches depend on (seed, step) alone, so that a resumed run goes on with the batches it would have had.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lipbench.baselines.wav2lip.mel import COLUMNS_PER_SECOND, STEPS, melspectrogram
from lipbench.baselines.wav2lip.networks import SIZE, SYNC_FRAMES
from lipbench.core.errors import TooShort, UsageError
from lipbench.datasets.synthetic.spec import stream

#: A clip must hold a window and, well apart from it, another one.
SHORTEST = 3 * SYNC_FRAMES


@dataclass(frozen=True)
class Talk:
    """A clip, ready for training.

    Attributes:
        id, speaker: of the clip.
        fps: of the video.
        faces: language -> (T, 96, 96, 3) uint8 BGR; in all languages the boxes of the original video.
        sounds: language -> (takes, 80, C) float32 spectrograms.
    """

    id: str
    speaker: str
    fps: float
    faces: Mapping[str, NDArray[np.uint8]]
    sounds: Mapping[str, NDArray[np.float32]]

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.faces)

    def starts(self, language: str) -> int:
        """How many frames may start a window of five whose every frame has its 0.2 s of sound."""
        sound = self.sounds[language].shape[2] - STEPS
        heard = int(sound * self.fps / COLUMNS_PER_SECOND) + 1
        return min(len(self.faces[language]), heard) - SYNC_FRAMES + 1

    def mel(self, language: str, take: int, frame: int) -> NDArray[np.float32]:
        """(80, 16) sound behind a frame; window i starts at i / fps, as in inference."""
        at = max(0, int(frame * COLUMNS_PER_SECOND / self.fps))
        return self.sounds[language][take, :, at : at + STEPS]


def crops(frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], boxes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(T, H, W, 3) RGB frames -> (T, 96, 96, 3) BGR faces, resized as in `inference.relip`."""
    pairs = zip(frames, boxes.tolist(), strict=True)
    faces = [cv2.resize(frame[y1:y2, x1:x2], (SIZE, SIZE)) for frame, (x1, y1, x2, y2) in pairs]
    return np.ascontiguousarray(np.stack(faces)[..., ::-1]).astype(np.uint8)


def moved(boxes: NDArray[np.int64], width: int, height: int, rng: np.random.Generator, by: float) -> NDArray[np.int64]:
    """The boxes of a less exact detector: shifted and scaled by up to `by` of their size, the same in all frames."""
    side = boxes[:, 2:] - boxes[:, :2]
    low = boxes[:, :2] + side * rng.uniform(-by, by, 2)
    high = boxes[:, 2:] + side * rng.uniform(-by, by, 2)
    limit = np.array([width, height])
    return np.concatenate([np.clip(low, 0, limit - 2), np.clip(high, 2, limit)], 1).round().astype(np.int64)


def save(talk: Talk, path: Path) -> Path:
    """Write a talk as npz; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {f"faces_{tag}": v for tag, v in talk.faces.items()} | {f"sounds_{t}": v for t, v in talk.sounds.items()}
    handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    os.close(handle)
    np.savez(draft, id=talk.id, speaker=talk.speaker, fps=talk.fps, **arrays)  # type: ignore[arg-type]
    os.replace(draft, path)
    return path


def load(path: Path) -> Talk:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as z:
        faces = {k.removeprefix("faces_"): z[k] for k in z.files if k.startswith("faces_")}
        sounds = {k.removeprefix("sounds_"): z[k] for k in z.files if k.startswith("sounds_")}
        return Talk(str(z["id"]), str(z["speaker"]), float(z["fps"]), faces, sounds)


def spectrograms(takes: Sequence[NDArray[np.int16]]) -> NDArray[np.float32]:
    """(takes, 80, C) of recordings of one length."""
    return np.stack([melspectrogram(take) for take in takes]).astype(np.float32)


def usable(talks: Sequence[Talk]) -> list[Talk]:
    """Those long enough to draw from.

    Raises:
        UsageError: there are none.
    """
    long = [t for t in talks if all(t.starts(tag) >= SHORTEST - SYNC_FRAMES for tag in t.languages)]
    if not long:
        raise UsageError(
            "there is nothing to train on", f"no clip has {SHORTEST} frames with sound and a face", "add longer clips"
        )
    return long


def split(talks: Sequence[Talk], held_out: float, seed: int) -> tuple[list[Talk], list[Talk]]:
    """Training and held-out talks; no speaker is in both.

    Raises:
        UsageError: fewer than two speakers.
    """
    speakers = sorted({talk.speaker for talk in talks})
    if len(speakers) < 2:
        raise UsageError("all clips are of one speaker", "held-out clips need another one", "add clips of others")
    stream(seed, "wav2lip", "held-out").shuffle(speakers)
    kept = set(speakers[: max(1, round(held_out * len(speakers)))])
    return [t for t in talks if t.speaker not in kept], [t for t in talks if t.speaker in kept]


@dataclass(frozen=True)
class SyncBatch:
    """mel: (B, 1, 80, 16). face: (B, 15, 48, 96) in [0, 1]. together: (B, 1), 1 where they belong together."""

    mel: Tensor
    face: Tensor
    together: Tensor


@dataclass(frozen=True)
class LipBatch:
    """face: (B, 6, T, 96, 96). mels: (B, T, 1, 80, 16) of every frame. mel: (B, 1, 80, 16) of the window.

    target: (B, 3, T, 96, 96). All images in [0, 1].
    """

    face: Tensor
    mels: Tensor
    mel: Tensor
    target: Tensor


def sync_batch(talks: Sequence[Talk], size: int, seed: int, step: int) -> SyncBatch:
    """Half of the faces show another moment of the clip than is heard (Wav2Lip, color_syncnet_train.py)."""
    rng = stream(seed, "wav2lip", "sync", step)
    mels, faces, together = [], [], []
    for _ in range(size):
        talk, tag, take, heard = _draw(talks, rng)
        same = bool(rng.integers(2))
        seen = heard if same else _other(talk.starts(tag), heard, rng)
        window = _flipped(talk.faces[tag][seen : seen + SYNC_FRAMES, SIZE // 2 :], rng)
        mels.append(talk.mel(tag, take, heard))
        faces.append(_image(window).flatten(0, 1))
        together.append(float(same))
    return SyncBatch(torch.from_numpy(np.stack(mels))[:, None], torch.stack(faces), torch.tensor(together)[:, None])


def lip_batch(
    talks: Sequence[Talk], size: int, seed: int, step: int, *, frames: int = SYNC_FRAMES, paired: float = 0.0,
    mel_shift: int = 0,
) -> LipBatch:  # fmt: skip
    """Target windows with their upper half, a reference window and the sound.

    Args:
        frames: T; 1 while no loss looks at several frames together.
        paired: share of references taken from the same moment of the clip in another language, which is what
            inference has in front of it; the rest are another window of the same video, as published.
        mel_shift: frames by which every frame's own sound is moved; upstream's training has -1, its inference 0.
    """
    rng = stream(seed, "wav2lip", "lips", step)
    masked, mels, mel, target = [], [], [], []
    for _ in range(size):
        talk, tag, take, start = _draw(talks, rng)
        others = [t for t in talk.languages if t != tag]
        if others and rng.uniform() < paired:
            source, at = others[int(rng.integers(len(others)))], start
        else:
            source, at = tag, _other(talk.starts(tag), start, rng)
        both = np.concatenate([talk.faces[tag][start : start + frames], talk.faces[source][at : at + frames]])
        both = _lit(_flipped(both, rng), rng)
        truth, reference = _image(both).transpose(0, 1).split(frames, dim=1)  # (3, T, 96, 96)
        upper = truth.clone()
        upper[:, :, SIZE // 2 :] = 0
        masked.append(torch.cat((upper, reference)))
        mels.append(np.stack([talk.mel(tag, take, start + k + mel_shift) for k in range(frames)])[:, None])
        mel.append(talk.mel(tag, take, start)[None])
        target.append(truth)
    sounds = torch.from_numpy(np.stack(mels)), torch.from_numpy(np.stack(mel))
    return LipBatch(torch.stack(masked), *sounds, torch.stack(target))


def _draw(talks: Sequence[Talk], rng: np.random.Generator) -> tuple[Talk, str, int, int]:
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
    return np.clip(faces * gain, 0, 255).astype(np.uint8)


def _image(faces: NDArray[np.uint8]) -> Tensor:
    """(T, h, w, 3) uint8 -> (T, 3, h, w) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(faces.transpose(0, 3, 1, 2))).float() / 255
