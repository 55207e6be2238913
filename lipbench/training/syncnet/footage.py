"""Training data from a manifest: every video in which image and audio belong together, originals and truth alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lipbench import media
from lipbench.core.errors import NoFace, UsageError
from lipbench.core.keys import key_of
from lipbench.datasets import resolve
from lipbench.datasets.annotations import Annotations
from lipbench.datasets.types import Clip, Manifest
from lipbench.faces import track_faces
from lipbench.faces.track import FaceTrack
from lipbench.metrics.sync.protocol import FPS
from lipbench.training.syncnet import cache


def from_manifest(
    name: str,
    folder: Path,
    input_size: int,
    seed: int = 0,
    *,
    held_out: float = 0.15,
    log: Callable[[str], None] = lambda _: None,
) -> tuple[list[cache.CachedClip], list[cache.CachedClip]]:
    """Crops and audio features of a manifest, split by speaker.

    Args:
        name: of a registered data set, or a manifest file.
        folder: of the cache.
        seed: decides who is held out; `held_out` is the share of the speakers, at least one.

    Raises:
        UsageError: fewer than two speakers with a usable face.
    """
    manifest = resolve(name)
    done: list[str] = []
    for clip, language, video, truth in _in_sync(manifest):
        key = key_of(
            {
                "kind": "judge footage",
                "cache": cache.CACHE_VERSION,
                "manifest": manifest.digest,
                "clip": clip.id,
                "language": language,
                "size": input_size,
            }
        )
        own = f"{clip.id}-{language}"
        try:
            if not cache.is_cached(folder, own, key):
                _store(clip, language, video, truth, folder, own, key, input_size)
            done.append(own)
        except NoFace as error:
            log(f"{own} is left out: {error.one_line()}")
    clips = cache.read_clips(folder, done)
    speakers = sorted({c.facts.speaker for c in clips})
    if len(speakers) < 2:
        raise UsageError(
            f"{name} has {len(speakers)} speaker with a usable face",
            "training and validation need different people",
            "add clips of another speaker",
        )
    away = set(np.random.default_rng(seed).permutation(speakers)[: max(1, round(held_out * len(speakers)))])
    return [c for c in clips if c.facts.speaker not in away], [c for c in clips if c.facts.speaker in away]


def _in_sync(manifest: Manifest) -> Iterator[tuple[Clip, str, Path, bool]]:
    for clip in manifest.clips:
        yield clip, clip.language, clip.video, False
        for language, video in clip.truth.items():
            if language != clip.language:
                yield clip, language, video, True


def _store(clip: Clip, language: str, video: Path, truth: bool, folder: Path, own: str, key: str, size: int) -> None:
    annotated = clip.truth_annotations.get(language) if truth else clip.annotations
    if annotated is not None:
        track = Annotations.load(annotated).face_track()
    elif clip.landmarks is not None and not truth:
        track = FaceTrack.load(clip.landmarks)
    else:
        track = track_faces(video)
    frames = media.load_frames(video, fps=FPS)
    crops, first = cache.crops_of_track(frames, track, size)
    # Truth videos carry the dub they show as their own audio.
    sound = media.read_audio(video)
    features = cache.sound_features([sound], first, len(crops))
    facts = cache.CachedClipFacts(own, key, clip.speaker, language, len(crops), (clip.speaker,))
    cache.write_clip(folder, facts, crops, features)
