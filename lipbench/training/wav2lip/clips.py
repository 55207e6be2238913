"""Clips as Wav2Lip's training reads them: face crops and spectrograms on disk.

A cached clip is a folder with faces_TAG.npy (T, 96, 96, 3) uint8 BGR, sounds_TAG.npy (takes, 80, C) float32, talk.json,
and gap_TAG.npy (T,) float32 where the opening of the lips is known. Faces are memory-mapped.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.wav2lip.mel import COLUMNS_PER_SECOND, STEPS, melspectrogram
from lipbench.baselines.wav2lip.networks import SIZE, SYNC_FRAMES
from lipbench.core.atomic import atomic_dir
from lipbench.core.errors import UsageError
from lipbench.core.keys import key_of
from lipbench.synthetic.corpus.spec import stream

#: A clip must hold a window and, well apart from it, another one.
SHORTEST = 3 * SYNC_FRAMES


@dataclass(frozen=True)
class LipTrainingClip:
    """A clip, ready for training.

    Attributes:
        id: of the clip.
        speaker: of the clip.
        fps: of the video.
        faces: language -> (T, 96, 96, 3) uint8 BGR; in all languages the boxes of the original video, its first key.
        sounds: language -> (takes, 80, C) float32 spectrograms.
        gaps: language -> (T,) float32 mm, opening of the lips; empty where it is not known.
        key: hash of what the clip was made from.
    """

    id: str
    speaker: str
    fps: float
    faces: Mapping[str, NDArray[np.uint8]]
    sounds: Mapping[str, NDArray[np.float32]]
    gaps: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    key: str = ""

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(self.faces)

    def starts(self, language: str) -> int:
        """How many frames may start a window of five whose every frame has its 0.2 s of audio."""
        sound = self.sounds[language].shape[2] - STEPS
        heard = int(sound * self.fps / COLUMNS_PER_SECOND) + 1
        return min(len(self.faces[language]), heard) - SYNC_FRAMES + 1

    def mel(self, language: str, take: int, frame: int) -> NDArray[np.float32]:
        """(80, 16) audio behind a frame; window i starts at i / fps, as in inference."""
        at = max(0, int(frame * COLUMNS_PER_SECOND / self.fps))
        return self.sounds[language][take, :, at : at + STEPS]


def crops(frames: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], boxes: NDArray[np.int64]) -> NDArray[np.uint8]:
    """(T, H, W, 3) RGB frames -> (T, 96, 96, 3) BGR faces, resized as in `inference.generate_frames`."""
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


def spectrograms(takes: Sequence[NDArray[np.int16]]) -> NDArray[np.float32]:
    """(takes, 80, C) of recordings of one length."""
    return np.stack([melspectrogram(take) for take in takes]).astype(np.float32)


def save(talk: LipTrainingClip, final: Path, key: str) -> Path:
    """Write a talk as a folder; it appears whole or not at all.

    Raises:
        DiskFull.
    """
    with atomic_dir(final) as work:
        for kind, arrays in (("faces", talk.faces), ("sounds", talk.sounds), ("gap", talk.gaps)):
            for tag, array in arrays.items():
                np.save(work / f"{kind}_{tag}.npy", array)
        facts = {
            "id": talk.id,
            "speaker": talk.speaker,
            "fps": talk.fps,
            "languages": talk.languages,
            "key": key,
            "gaps": list(talk.gaps),
        }
        (work / "talk.json").write_text(json.dumps(facts, indent=1))
    return final


def is_cached(folder: Path, key: str) -> bool:
    """Whether the clip is there, made from the same things."""
    try:
        return bool(json.loads((folder / "talk.json").read_text())["key"] == key)
    except (OSError, ValueError, KeyError):
        return False


def load(folder: Path) -> LipTrainingClip:
    """Open what `save` wrote."""
    facts = json.loads((folder / "talk.json").read_text())
    faces = {tag: np.load(folder / f"faces_{tag}.npy", mmap_mode="r") for tag in facts["languages"]}
    sounds = {tag: np.load(folder / f"sounds_{tag}.npy") for tag in facts["languages"]}
    gaps = {tag: np.load(folder / f"gap_{tag}.npy") for tag in facts["gaps"]}
    return LipTrainingClip(facts["id"], facts["speaker"], facts["fps"], faces, sounds, gaps, facts["key"])


class ClipOrigin(Protocol):
    """A training clip of any method: whose it is, and what it was made from."""

    @property
    def id(self) -> str: ...
    @property
    def speaker(self) -> str: ...
    @property
    def key(self) -> str: ...


AnyClip = TypeVar("AnyClip", bound=ClipOrigin)


def digest(talks: Sequence[ClipOrigin], method: str = "wav2lip") -> str:
    """A hash of what a set of clips was made from."""
    return key_of({"kind": f"{method} training data", "clips": sorted([t.id, t.key] for t in talks)})


def clip_facts(talks: Sequence[ClipOrigin], held_out: Sequence[ClipOrigin]) -> dict[str, Any]:
    """What a training records about its clips."""
    return {
        "clips": len(talks),
        "speakers": len({t.speaker for t in talks}),
        "data": digest(talks),
        "held_out": digest(held_out),
    }


def usable(talks: Sequence[LipTrainingClip]) -> list[LipTrainingClip]:
    """Those long enough to draw from.

    Raises:
        UsageError: there are none.
    """
    long = [t for t in talks if all(t.starts(tag) >= SHORTEST - SYNC_FRAMES for tag in t.languages)]
    if not long:
        raise UsageError(
            "there is nothing to train on", f"no clip has {SHORTEST} frames with audio and a face", "add longer clips"
        )
    return long


def split(
    talks: Sequence[AnyClip], held_out: float, seed: int, method: str = "wav2lip"
) -> tuple[list[AnyClip], list[AnyClip]]:
    """Training and held-out talks; no speaker is in both.

    Raises:
        UsageError: fewer than two speakers.
    """
    speakers = sorted({talk.speaker for talk in talks})
    if len(speakers) < 2:
        raise UsageError("all clips are of one speaker", "held-out clips need another one", "add clips of others")
    stream(seed, method, "held-out").shuffle(speakers)
    kept = set(speakers[: max(1, round(held_out * len(speakers)))])
    return [t for t in talks if t.speaker not in kept], [t for t in talks if t.speaker in kept]
