"""Where training clips come from: straight from the generator, or any manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lipbench.baselines.wav2lip import boxes as framing
from lipbench.baselines.wav2lip.training.data import Talk, crops, load, moved, save, spectrograms
from lipbench.core import media
from lipbench.core.keys import key_of
from lipbench.datasets.synthetic.corpus import GENERATOR_VERSION
from lipbench.datasets.synthetic.espeak import Espeak
from lipbench.datasets.synthetic.parallel import over_clips
from lipbench.datasets.synthetic.render import render_clip
from lipbench.datasets.synthetic.spec import DIFFICULTIES, ClipSpec, stream
from lipbench.datasets.types import Manifest

#: First number of the people of each split: far apart, far from the packaged corpus and from the judge's people.
PEOPLE = {"train": 1_100_000, "held-out": 1_200_000, "evaluation": 1_300_000}
LANGUAGES = ("en", "fr", "es", "de")
PADS = (0, 10, 0, 0)  # px, the method's default


@dataclass(frozen=True)
class Recipe:
    """A generated set of clips.

    Attributes:
        split: a key of PEOPLE.
        identities: people, one clip each.
        seed: of everything.
        seconds: of a clip. languages: each clip speaks two of them. takes: voices per language.
        size: of the rendered picture, px.
        jitter: half of the clips have their boxes moved by up to this share.
        pool: sentences.
    """

    split: str
    identities: int
    seed: int = 0
    seconds: float = 3.0
    languages: tuple[str, ...] = LANGUAGES
    takes: int = 3
    size: int = 256
    jitter: float = 0.06
    pool: str = "train"

    def specs(self) -> list[ClipSpec]:
        """The clips."""
        out, levels = [], list(DIFFICULTIES)
        for person in range(self.identities):
            rng = stream(self.seed, "wav2lip", self.split, person)
            spoken = [self.languages[int(i)] for i in rng.permutation(len(self.languages))[:2]]
            out.append(
                ClipSpec(
                    id=f"{self.split}-{self.seed}-{person:03d}", seed=int(rng.integers(1 << 62)),
                    identity=PEOPLE[self.split] + 1000 * self.seed + person, source=spoken[0], dubs=tuple(spoken[1:]),
                    seconds=self.seconds, width=self.size, height=self.size,
                    difficulty=levels[int(rng.integers(len(levels)))], pool=self.pool,
                    shuffle_words=self.pool == "train" and bool(rng.uniform() < 0.5), takes=self.takes,
                )
            )  # fmt: skip
        return out


def generated(
    recipe: Recipe, cache: Path, *, workers: int = 1, say: Callable[[str], None] = lambda _: None
) -> list[Talk]:
    """The recipe's clips, rendered where they are not in the folder `cache` already."""
    files = {spec.id: cache / f"{spec.id}-{_key(spec, recipe.jitter)}.npz" for spec in recipe.specs()}
    waiting = [spec for spec in recipe.specs() if not files[spec.id].is_file()]
    for done, talk in enumerate(over_clips(partial(_render, jitter=recipe.jitter), waiting, workers=workers), 1):
        save(talk, files[talk.id])
        say(f"{recipe.split}: {done} of {len(waiting)} clips rendered")
    return [load(file) for file in files.values()]


def _key(spec: ClipSpec, jitter: float) -> str:
    return key_of({"version": GENERATOR_VERSION, "spec": asdict(spec), "jitter": jitter, "pads": PADS})[:12]


def _render(spec: ClipSpec, engine: Espeak | None, jitter: float) -> Talk:
    """A clip in memory; its boxes are those of the original in every language, as in inference."""
    clip = render_clip(spec, engine=engine)
    boxes = framing.follow(clip.annotations[spec.source].face_track(), PADS).xyxy
    rng = stream(spec.seed, "wav2lip", "boxes")
    if rng.integers(2) and jitter:
        boxes = moved(boxes, spec.width, spec.height, rng, jitter)
    faces = {tag: crops(frames, boxes) for tag, frames in clip.frames.items()}
    sounds = {tag: spectrograms([take.audio for take in takes]) for tag, takes in clip.takes.items()}
    return Talk(spec.id, str(spec.identity), spec.fps, faces, sounds)


def from_manifest(manifest: Manifest, fps: float = 25.0, clip_ids: Sequence[str] | None = None) -> list[Talk]:
    """The clips of a manifest with their own sound; truth videos of generated clips count as further languages.

    Raises:
        NoFace: a clip without a face.
        NoAudio: a clip without sound.
    """
    from lipbench.faces import track_faces

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
        talks.append(Talk(clip.id, clip.speaker, fps, faces, {k: np.asarray(v) for k, v in sounds.items()}))
    return talks
