"""Training data straight from the generator: no video files, as many people and voices as wanted."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import UsageError
from lipbench.core.keys import key_of
from lipbench.faces.morphable.visemes import SPEECH_COLUMNS
from lipbench.synthetic.corpus.corpus import GENERATOR_VERSION
from lipbench.synthetic.corpus.render import RenderedShot
from lipbench.synthetic.corpus.scene import CorpusScene, plan
from lipbench.synthetic.corpus.spec import DIFFICULTIES, ClipSpec, stream
from lipbench.synthetic.speech import espeak
from lipbench.synthetic.speech.espeak import Espeak
from lipbench.training.cached import render_missing
from lipbench.training.syncnet import cache as clips

#: Languages that training hears; Italian is kept for evaluation.
TRAINED = ("en", "fr", "es", "de")
#: First number of the people of each split, far apart and far from the packaged corpus.
PEOPLE = {"train": 100_000, "held-out": 200_000, "evaluation": 300_000}


@dataclass(frozen=True)
class SyncNetDatasetConfig:
    """A generated set of clips.

    Attributes:
        split: "train", "held-out" (early stopping) or "evaluation": which people.
        seed: of everything.
        identities: how many people.
        clips_per_identity: how many clips of each.
        languages: taken in turn.
        size: of the rendered image, px.
        supersample: of the rendered image, px.
        view: range of the camera's field across, dm.
        takes: recordings of every clip, by other voices and in other rooms.
        espeak: share of clips led by an espeak-ng voice; needs the extra `speech`.
        damped: share of clips also rendered with less lip movement.
        coded: share of clips that go through H.264.
        pool: sentences, see `timelines.pool`.
        shuffled: share of clips that speak random words of it.
    """

    split: str
    seed: int
    identities: int
    clips_per_identity: int
    seconds: float = 4.0
    languages: tuple[str, ...] = TRAINED
    size: int = 192
    supersample: int = 1
    view: tuple[float, float] = (2.3, 2.9)
    takes: int = 5
    espeak: float = 0.0
    damped: float = 0.3
    coded: float = 0.5
    pool: str = "train"
    shuffled: float = 0.6

    def specs(self) -> list[ClipSpec]:
        """The clips, one person after the other."""
        out = []
        levels = list(DIFFICULTIES)
        for person in range(self.identities):
            for number in range(self.clips_per_identity):
                rng = stream(self.seed, "judge", self.split, person, number)
                k = person * self.clips_per_identity + number
                out.append(
                    ClipSpec(
                        id=f"{self.split}-{self.seed}-{person:03d}-{number:02d}",
                        seed=int(rng.integers(1 << 62)),
                        identity=PEOPLE[self.split] + 1000 * self.seed + person,
                        source=self.languages[k % len(self.languages)],
                        seconds=self.seconds,
                        width=self.size,
                        height=self.size,
                        difficulty=levels[int(rng.integers(len(levels)))],
                        pool=self.pool,
                        shuffle_words=bool(rng.uniform() < self.shuffled),
                        voices="espeak" if rng.uniform() < self.espeak else "formant",
                        takes=self.takes,
                        studio=bool(rng.uniform() < 0.5),
                        supersample=self.supersample,
                        view=float(rng.uniform(*self.view)),
                    )
                )
        return out


def damp(semantic: NDArray[np.float64], amplitude: float) -> NDArray[np.float64]:
    """(T, 36) expression weights whose mouth moves `amplitude` as far around its mean: 1 unchanged, 0 a still mouth.

    Gaps are linear in the weights, so lips that never crossed do not cross now. Eyes, brows and mood stay.
    """
    out = semantic.copy()
    mean = semantic[:, SPEECH_COLUMNS].mean(axis=0)
    out[:, SPEECH_COLUMNS] = mean + amplitude * (semantic[:, SPEECH_COLUMNS] - mean)
    return out


def damped_scene(scene: CorpusScene, amplitude: float) -> CorpusScene:
    """The scene with less lip movement in every language."""
    return replace(scene, semantic={tag: damp(weights, amplitude) for tag, weights in scene.semantic.items()})


def video_of(scene: CorpusScene, language: str) -> tuple[NDArray[np.uint8], RenderedShot]:
    """(T, H, W, 3) uint8 RGB frames of a language, and the shot with its annotations."""
    spec = scene.spec
    shot = RenderedShot(scene, language)
    frames = np.empty((spec.n_frames, spec.height, spec.width, 3), np.uint8)
    for t, frame in enumerate(shot):
        frames[t] = frame
    return frames, shot


def through_codec(frames: NDArray[np.uint8], crf: int, fps: float = 25.0) -> NDArray[np.uint8]:
    """The frames after H.264 at that quality."""
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / "clip.mp4"
        media.write_video(file, frames, fps, crf=crf)
        return media.load_frames(file)


def build(
    recipe: SyncNetDatasetConfig,
    folder: Path,
    input_size: int = 112,
    *,
    workers: int = 1,
    log: Callable[[str], None] = lambda _: None,
) -> list[clips.CachedClip]:
    """Render what is not cached yet; an interrupted build goes on where it stopped.

    Args:
        folder: of the cache; clips of several recipes may share it.
        input_size: input edge of the sync model.
        workers: processes; the files do not depend on it.

    Raises:
        UsageError: espeak voices without the extra.
    """
    if recipe.espeak > 0 and not espeak.available():
        raise UsageError(
            "espeak-ng voices are asked for",
            "the extra `speech` is not installed",
            "pip install 'lipbench[speech]', or train on formant voices alone",
        )
    specs = recipe.specs()
    render_missing(
        specs,
        lambda spec: clips.is_cached(folder, spec.id, _key(spec, recipe, input_size)),
        partial(_render, recipe=recipe, folder=folder, size=input_size),
        lambda spec, stored: None,
        about=recipe.split,
        workers=workers,
        log=log,
    )
    return clips.read_clips(folder, [spec.id for spec in specs])


def _key(spec: ClipSpec, recipe: SyncNetDatasetConfig, input_size: int) -> str:
    facts = {k: v for k, v in asdict(recipe).items() if k in ("damped", "coded")}
    return key_of(
        {
            "kind": "judge clip",
            "cache": clips.CACHE_VERSION,
            "generator": GENERATOR_VERSION,
            "spec": spec.to_dict(),
            "recipe": facts,
            "size": input_size,
        }
    )


def _render(spec: ClipSpec, engine: Espeak | None, recipe: SyncNetDatasetConfig, folder: Path, size: int) -> None:
    """Render, cut and store one clip; where several processes render, each writes its own."""
    cv2.setNumThreads(1)
    rng = stream(spec.seed, "judge clip")
    scene = plan(spec, engine if spec.voices == "espeak" else None)
    crf = int(rng.integers(14, 37)) if rng.uniform() < recipe.coded else None
    amplitude = float(rng.uniform(0.15, 0.7)) if rng.uniform() < recipe.damped else None

    def cut(of: CorpusScene) -> tuple[NDArray[np.uint8], int]:
        frames, shot = video_of(of, spec.source)
        track = shot.annotations().face_track()
        return clips.crops_of_track(frames if crf is None else through_codec(frames, crf), track, size)

    frames, first = cut(scene)
    less = None
    if amplitude is not None:
        less, start = cut(damped_scene(scene, amplitude))
        if start != first or len(less) != len(frames):
            less = amplitude = None
    takes = scene.takes[spec.source]
    sound = clips.sound_features([take.audio for take in takes], first, len(frames))
    facts = clips.CachedClipFacts(
        spec.id,
        _key(spec, recipe, size),
        f"person-{spec.identity}",
        spec.source,
        len(frames),
        tuple(t.voice for t in takes),
        amplitude,
    )
    clips.write_clip(folder, facts, frames, sound, less)
