"""Where training clips come from: straight from the generator, or any manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.baselines.wav2lip import boxes as framing
from lipbench.core.keys import key_of
from lipbench.datasets.types import Manifest
from lipbench.faces import track_faces
from lipbench.synthetic.corpus.corpus import GENERATOR_VERSION
from lipbench.synthetic.corpus.render import render_clip
from lipbench.synthetic.corpus.spec import DIFFICULTIES, ClipSpec, stream
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.training.cached import render_missing
from lipbench.training.syncnet.generated import through_codec
from lipbench.training.wav2lip.clips import LipTrainingClip, crops, is_cached, load, moved, save, spectrograms

#: First number of the people of each split: far apart, far from the packaged corpus and from the sync model's people.
PEOPLE = {"train": 1_100_000, "held-out": 1_200_000, "evaluation": 1_300_000}
#: Languages that training hears; Italian is kept for evaluation, as with the sync model.
TRAINED = ("en", "fr", "es", "de")
PADS = (0, 10, 0, 0)  # px, the method's default
CACHE_VERSION = 2


@dataclass(frozen=True)
class LipDatasetConfig:
    """A generated set of clips.

    Attributes:
        split: a key of PEOPLE.
        identities: people, and clips of each.
        clips: people, and clips of each.
        seed: of everything.
        seconds: of a clip.
        spoken: languages of each clip, its mouth is rendered in every one.
        takes: voices of each.
        languages: to choose from, taken in turn as originals.
        size: of the rendered image, px.
        view: range of the camera's field across, dm.
        jitter: the boxes of three clips in four are moved by up to this share of their size.
        coded: share of clips that go through H.264.
        pool: sentences.
        shuffled: share of clips that speak random words of it.
        levels: difficulties to draw from, all when empty.
    """

    split: str
    identities: int
    clips: int = 1
    seed: int = 0
    seconds: float = 3.0
    spoken: int = 3
    takes: int = 4
    languages: tuple[str, ...] = TRAINED
    size: int = 256
    view: tuple[float, float] = (2.4, 2.9)
    jitter: float = 0.06
    coded: float = 0.5
    pool: str = "train"
    shuffled: float = 0.5
    levels: tuple[str, ...] = ()

    def specs(self) -> list[ClipSpec]:
        """The clips, one person after the other."""
        out, levels = [], list(self.levels or DIFFICULTIES)
        for k in range(self.identities * self.clips):
            person, number = divmod(k, self.clips)
            rng = stream(self.seed, "wav2lip", self.split, person, number)
            source = self.languages[k % len(self.languages)]
            others = [tag for tag in self.languages if tag != source]
            dubs = [others[int(i)] for i in rng.permutation(len(others))[: self.spoken - 1]]
            out.append(
                ClipSpec(
                    id=f"{self.split}-{self.seed}-{person:03d}-{number:02d}",
                    seed=int(rng.integers(1 << 62)),
                    identity=PEOPLE[self.split] + 1000 * self.seed + person,
                    source=source,
                    dubs=tuple(dubs),
                    seconds=self.seconds,
                    width=self.size,
                    height=self.size,
                    difficulty=levels[int(rng.integers(len(levels)))],
                    pool=self.pool,
                    shuffle_words=bool(rng.uniform() < self.shuffled),
                    takes=self.takes,
                    studio=bool(rng.uniform() < 0.5),
                    view=float(rng.uniform(*self.view)),
                )
            )
        return out


def generated(
    recipe: LipDatasetConfig, cache: Path, *, workers: int = 1, log: Callable[[str], None] = lambda _: None
) -> list[LipTrainingClip]:
    """The recipe's clips, rendered where they are not in the folder `cache` already.

    An interrupted call goes on where it stopped; the files do not depend on the number of processes.
    """
    specs = recipe.specs()
    keys = {spec.id: _key(spec, recipe) for spec in specs}
    render_missing(
        specs,
        lambda spec: is_cached(cache / spec.id, keys[spec.id]),
        partial(_render, jitter=recipe.jitter, coded=recipe.coded),
        lambda spec, talk: save(talk, cache / spec.id, keys[spec.id]),
        about=recipe.split,
        workers=workers,
        log=log,
    )
    return [load(cache / spec.id) for spec in specs]


def _key(spec: ClipSpec, recipe: LipDatasetConfig) -> str:
    return key_of(
        {
            "kind": "wav2lip clip",
            "cache": CACHE_VERSION,
            "generator": GENERATOR_VERSION,
            "pads": PADS,
            "spec": asdict(spec),
            "jitter": recipe.jitter,
            "coded": recipe.coded,
        }
    )


def _render(spec: ClipSpec, engine: Espeak | None, jitter: float, coded: float) -> LipTrainingClip:
    """A clip in memory; its boxes are those of the original in every language, as in inference."""
    clip = render_clip(spec, engine=engine)
    boxes = framing.follow(clip.annotations[spec.source].face_track(), PADS).xyxy
    rng = stream(spec.seed, "wav2lip", "boxes")
    if rng.uniform() < 0.75 and jitter:
        boxes = moved(boxes, spec.width, spec.height, rng, jitter)
    crf = int(rng.integers(14, 31)) if rng.uniform() < coded else None

    def seen(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return crops(frames if crf is None else through_codec(frames, crf, spec.fps), boxes)

    faces = {tag: seen(frames) for tag, frames in clip.frames.items()}
    sounds = {tag: spectrograms([take.audio for take in takes]) for tag, takes in clip.takes.items()}
    gaps = {tag: clip.annotations[tag].lip_gap for tag in clip.frames}
    return LipTrainingClip(spec.id, str(spec.identity), spec.fps, faces, sounds, gaps)


def from_manifest(
    manifest: Manifest, fps: float = 25.0, clip_ids: Sequence[str] | None = None
) -> list[LipTrainingClip]:
    """The clips of a manifest with their own audio; truth videos of generated clips count as further languages.

    Raises:
        NoFace: a clip without a face.
        NoAudio: a clip without audio.
    """
    talks = []
    for clip in manifest.clips:
        if clip_ids is not None and clip.id not in clip_ids:
            continue
        part = {"start_s": clip.start_s, "end_s": clip.end_s}
        frames = media.load_frames(clip.video, fps=fps, **part)  # type: ignore[arg-type]
        height, width = frames.shape[1:3]
        if clip.landmarks is None:
            track = track_faces(frames, fps=fps)
        else:
            track = track_faces(clip.landmarks, backend="file", fps=fps, size=(width, height), n_frames=len(frames))
        boxes = framing.follow(track, PADS).xyxy
        faces, sounds = {clip.language: crops(frames, boxes)}, {}
        first, n = round(clip.start_s * 16000), round(len(frames) / fps * 16000)
        sounds[clip.language] = spectrograms([media.read_audio(clip.video)[first : first + n]])
        for tag, video in clip.truth.items():
            dubbed = media.load_frames(video, fps=fps)
            if tag != clip.language and dubbed.shape == (len(frames), height, width, 3):
                faces[tag] = crops(dubbed, boxes)
                sounds[tag] = spectrograms([media.read_audio(video)])
        made_from = {"clip": clip.sha256, "truth": dict(clip.truth_sha256), "fps": fps, "pads": PADS, **part}
        talks.append(
            LipTrainingClip(
                clip.id, clip.speaker, fps, faces, {k: np.asarray(v) for k, v in sounds.items()}, {}, key_of(made_from)
            )
        )
    return talks
