"""What Speech2Vid learns from: people who say different things with the same head, moment by moment.

A dub is drawn from images of somebody who says something else. Generated clips can be had like that: one person, one
movement of the head, a mouth for each of several languages. The images are of one language, the drawing and the audio
of another, so that only the audio tells which mouth to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.baselines.speech2vid.networks import COEFFICIENTS
from lipbench.core import npz
from lipbench.core.atomic import atomic_write
from lipbench.core.keys import key_of
from lipbench.faces.morphable.visemes import SPEECH_COLUMNS
from lipbench.synthetic.corpus.corpus import GENERATOR_VERSION
from lipbench.synthetic.corpus.render import render_clip
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec, stream
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.training.cached import render_missing
from lipbench.training.speech2vid.audio_pretraining import SpeechClip
from lipbench.training.syncnet import cache
from lipbench.training.syncnet.generated import through_codec
from lipbench.training.wav2lip.clips import LipTrainingClip, is_cached, load, save
from lipbench.training.wav2lip.sources import LipDatasetConfig

SYNCNET_CROP = 112  # px of the sync model's crop that `training.framed` cuts its square out of
RENDERED = 192  # px
SPOKEN = 2  # languages of a training clip
CACHE_VERSION = 1


def generated(
    recipe: LipDatasetConfig, folder: Path, *, workers: int = 1, log: Callable[[str], None] = lambda _: None
) -> list[LipTrainingClip]:
    """The recipe's clips, rendered where they are not in the folder already.

    Of each talk, `faces` are (T, 128, 128, 3) BGR crops as `metrics.sync.training.cache` has them, `sounds`
    (takes, 12, 4 T - 1) MFCC, `gaps` (T, len(SPEECH_COLUMNS)) expression weights.
    """
    specs = recipe.specs()
    keys = {spec.id: _key(spec, recipe) for spec in specs}
    render_missing(
        specs,
        lambda spec: is_cached(folder / spec.id, keys[spec.id]),
        partial(_render, coded=recipe.coded),
        lambda spec, talk: save(talk, folder / spec.id, keys[spec.id]),
        about=recipe.split,
        workers=workers,
        log=log,
    )
    return [load(folder / spec.id) for spec in specs]


def from_cached(clips: Sequence[cache.CachedClip]) -> list[LipTrainingClip]:
    """Clips in one language, from any footage: images, drawing and audio are of the same video."""
    return [
        LipTrainingClip(
            c.facts.id,
            c.facts.speaker,
            25.0,
            {c.facts.language: c.frames},
            {c.facts.language: mfcc_rows(c.sound)},
            {},
            c.facts.key,
        )
        for c in clips
    ]


def mfcc_rows(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """(takes, 13, C) -> (takes, 12, C): without the energy, as `sound.features` has them."""
    return np.ascontiguousarray(sound[:, 1 : COEFFICIENTS + 1])


def speeches(talks: Sequence[LipTrainingClip]) -> list[SpeechClip]:
    """Audio and articulation of the talks whose articulation is known."""
    return [SpeechClip(talk.sounds[tag], talk.gaps[tag], talk.fps) for talk in talks for tag in talk.gaps]


def spoken(
    recipe: LipDatasetConfig, folder: Path, *, workers: int = 1, log: Callable[[str], None] = lambda _: None
) -> list[SpeechClip]:
    """The recipe's clips without images, a sixth of the work: the audio encoder needs more of them than the decoder."""
    files = {spec: folder / f"{spec.id}-{_key(spec, recipe)[:12]}.npz" for spec in recipe.specs()}

    def keep(spec: ClipSpec, arrays: dict[str, NDArray[np.float32]]) -> None:
        with atomic_write(files[spec]) as draft:
            npz.save(draft, arrays, compressed=False)

    specs = list(files)
    render_missing(specs, lambda spec: files[spec].exists(), _speak, keep, doing="speaking", workers=workers, log=log)
    out = []
    for spec, file in files.items():
        with np.load(file, allow_pickle=False) as z:
            out += [SpeechClip(z[f"sounds_{tag}"], z[f"weights_{tag}"], spec.fps) for tag in spec.languages]
    return out


def _speak(spec: ClipSpec, engine: Espeak | None) -> dict[str, NDArray[np.float32]]:
    scene = plan(spec, engine)
    out: dict[str, NDArray[np.float32]] = {}
    for tag, weights in scene.semantic.items():
        takes = [take.audio for take in scene.takes[tag]]
        out[f"sounds_{tag}"] = mfcc_rows(cache.sound_features(takes, 0, spec.n_frames))
        out[f"weights_{tag}"] = weights[:, SPEECH_COLUMNS].astype(np.float32)
    return out


def _key(spec: ClipSpec, recipe: LipDatasetConfig) -> str:
    return key_of(
        {
            "kind": "speech2vid clip",
            "cache": CACHE_VERSION,
            "generator": GENERATOR_VERSION,
            "size": SYNCNET_CROP,
            "spec": asdict(spec),
            "coded": recipe.coded,
        }
    )


def _render(spec: ClipSpec, engine: Espeak | None, coded: float) -> LipTrainingClip:
    """A clip in memory; every language is cut out by the original's face, as in dubbing."""
    clip = render_clip(spec, engine=engine)
    track = clip.annotations[spec.source].face_track()
    rng = stream(spec.seed, "speech2vid clip")
    crf = int(rng.integers(14, 31)) if rng.uniform() < coded else None
    faces, sounds, weights = {}, {}, {}
    for tag, frames in clip.frames.items():
        seen = frames if crf is None else through_codec(frames, crf, spec.fps)
        faces[tag], first = cache.crops_of_track(seen, track, SYNCNET_CROP)
        last = first + len(faces[tag])
        takes = [take.audio for take in clip.takes[tag]]
        sounds[tag] = mfcc_rows(cache.sound_features(takes, first, last - first))
        weights[tag] = clip.annotations[tag].semantic[first:last, SPEECH_COLUMNS]
    return LipTrainingClip(spec.id, str(spec.identity), spec.fps, faces, sounds, weights)
