"""Clips as training reads them: face crops and audio features on disk, memory-mapped.

A cached clip is a folder with frames.npy (T, 128, 128, 3) uint8 BGR, sound.npy (takes, 13, 4 T - 1) float32, clip.json.
The crop is the sync model's own square with a margin around it, so that training can move it: the middle 112 of the
128 pixels show what `crop` cuts out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.atomic import atomic_dir
from lipbench.core.errors import NoFace
from lipbench.core.keys import key_of
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.face_boxes import boxes_of_track
from lipbench.metrics.sync.folded import mfcc
from lipbench.metrics.sync.protocol import CROP_SCALE, SAMPLES_PER_FRAME
from lipbench.metrics.sync.tracks import crop, crop_path, track_faces

#: Cached edge over the sync model's edge: 128 px for a sync model of 112 px.
MARGIN = 8 / 7
#: Bump when the same source would be cached differently.
CACHE_VERSION = 1
#: A training clip needs this many frames with a face.
SHORTEST = 32


@dataclass(frozen=True)
class CachedClipFacts:
    """What is known about a cached clip.

    Attributes:
        id: unique in its folder.
        key: hash of everything that it was made from.
        speaker: who is seen; splits never share one.
        language: spoken.
        n_frames: T.
        voices: one per take.
        damped: amplitude of the lips in damped.npy, the same frames with less movement; None without such a file.
    """

    id: str
    key: str
    speaker: str
    language: str
    n_frames: int
    voices: tuple[str, ...]
    damped: float | None = None


@dataclass(frozen=True)
class CachedClip:
    """An opened clip.

    Attributes:
        frames: (T, E, E, 3) uint8 BGR, memory-mapped.
        damped: (T, E, E, 3) uint8 BGR, memory-mapped.
        sound: (takes, 13, 4 T - 1) float32.
    """

    facts: CachedClipFacts
    frames: NDArray[np.uint8]
    sound: NDArray[np.float32]
    damped: NDArray[np.uint8] | None


def edge_of(size: int) -> int:
    """Edge of the cached crops of a sync model with input `size`: 128 for 112, 256 for 224."""
    return round(size * MARGIN)


def crops_of_track(
    frames: NDArray[np.uint8], track: FaceTrack, size: int, *, margin: bool = True, min_face_size: float = 0.0
) -> tuple[NDArray[np.uint8], int]:
    """Cut the longest face track out of a video.

    Args:
        frames: (T, H, W, 3) uint8 RGB at 25 fps.
        track: of the same video.
        size: input edge of the sync model.
        margin: with a border of 1/14 on each side (for training), or exactly as the sync model sees it.

    Returns:
        (n, E, E, 3) uint8 BGR and the number of the first frame.

    Raises:
        NoFace: no face, or none for long enough.
    """
    boxes = boxes_of_track(track, len(frames), (frames.shape[2], frames.shape[1]), "reference")
    found = track_faces(boxes.faces, [(0, len(frames))], min_track=SHORTEST - 1, min_face_size=min_face_size)
    if not found.kept:
        raise NoFace("no face is seen for long enough", f"{boxes.n_found} of {len(frames)} frames show one", "")
    best = max(found.kept, key=lambda t: len(t.boxes))
    path = crop_path(best.boxes)
    edge = edge_of(size) if margin else size
    grow = edge / size - 1
    out = np.empty((len(best.boxes), edge, edge, 3), np.uint8)
    for t in range(len(out)):
        s = path.s[t]
        # The square's center lies CROP_SCALE s below the box's: a larger square about the same center starts higher.
        face = crop(frames[best.first + t], path.x[t], path.y[t] - CROP_SCALE * grow * s, s * (1 + grow), edge)
        out[t] = face[..., ::-1]
    return out, best.first


def sound_features(takes: Sequence[NDArray[np.int16]], first: int, n_frames: int) -> NDArray[np.float32]:
    """(takes, 13, 4 n - 1) features of the audio under frames first .. first + n; missing audio is silence."""
    rows = []
    for take in takes:
        part = take[first * SAMPLES_PER_FRAME : (first + n_frames) * SAMPLES_PER_FRAME]
        part = np.pad(part, (0, n_frames * SAMPLES_PER_FRAME - len(part)))
        rows.append(mfcc(part).astype(np.float32))
    return np.stack(rows)


def is_cached(folder: Path, clip_id: str, key: str) -> bool:
    """Whether the clip is there, made from the same things."""
    try:
        return bool(json.loads((folder / clip_id / "clip.json").read_text())["key"] == key)
    except (OSError, ValueError, KeyError):
        return False


def write_clip(
    folder: Path,
    facts: CachedClipFacts,
    frames: NDArray[np.uint8],
    sound: NDArray[np.float32],
    damped: NDArray[np.uint8] | None = None,
) -> Path:
    """Write a clip; it appears whole or not at all.

    Raises:
        DiskFull.
    """
    final = folder / facts.id
    with atomic_dir(final) as work:
        np.save(work / "frames.npy", frames)
        np.save(work / "sound.npy", sound)
        if damped is not None:
            np.save(work / "damped.npy", damped)
        (work / "clip.json").write_text(json.dumps(asdict(facts), indent=1))
    return final


def read_clips(folder: Path, ids: Sequence[str]) -> list[CachedClip]:
    """Open clips by id, in that order; nothing is read before it is used."""
    out = []
    for name in ids:
        at = folder / name
        values = json.loads((at / "clip.json").read_text())
        facts = CachedClipFacts(**{**values, "voices": tuple(values["voices"])})
        less = np.load(at / "damped.npy", mmap_mode="r") if facts.damped is not None else None
        out.append(CachedClip(facts, np.load(at / "frames.npy", mmap_mode="r"), np.load(at / "sound.npy"), less))
    return out


def digest(clips: Sequence[CachedClip]) -> str:
    """A hash of what a set of clips was made from."""
    return key_of(
        {"kind": "judge training data", "version": CACHE_VERSION, "clips": sorted(c.facts.key for c in clips)}
    )
