"""What a generated clip is made from: a few plain values. The same spec gives the same clip."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lipbench.core.errors import UsageError
from lipbench.core.registry import unknown


@dataclass(frozen=True)
class Difficulty:
    """Ranges that a clip's motion and light are drawn from.

    Attributes:
        yaw: degrees; where the head points on average lies within +- this.
        pitch: degrees; where the head points on average lies within +- this.
        sway: factor on slow head motion around that direction.
        speed: 1 conversation .. 2.5 fast head motion.
        drama: 0 even studio light .. 1 a low ambient with a strong side key, as in film.
        effort: mean gain of articulation; over 1 exaggerates.
        mood: strength of smiles, frowns and brows.
    """

    yaw: float = 10.0
    pitch: float = 5.0
    sway: float = 1.0
    speed: float = 1.0
    drama: float = 0.25
    effort: float = 1.0
    mood: float = 0.6


#: The knobs the paper names, one at a time and together.
DIFFICULTIES: dict[str, Difficulty] = {
    "easy": Difficulty(yaw=3.0, pitch=2.0, sway=0.5, speed=0.8, drama=0.0, mood=0.3),
    "normal": Difficulty(),
    "pose": Difficulty(yaw=30.0, pitch=14.0, sway=1.4),
    "motion": Difficulty(sway=2.2, speed=2.5),
    "light": Difficulty(drama=1.0),
    "expression": Difficulty(effort=1.25, mood=1.5),
    "hard": Difficulty(yaw=30.0, pitch=14.0, sway=2.0, speed=2.5, drama=1.0, effort=1.2, mood=1.5),
}


def difficulty(name: str) -> Difficulty:
    """The named difficulty.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in DIFFICULTIES:
        raise unknown("difficulties", name, list(DIFFICULTIES))
    return DIFFICULTIES[name]


@dataclass(frozen=True)
class ClipSpec:
    """One clip.

    Attributes:
        id: of the clip.
        seed: of everything that is drawn.
        identity: which person (`sample_identity`); clips of one person share it.
        source: language of the original.
        dubs: languages of its dubs.
        seconds: length of the videos.
        fps: frames per second of the videos.
        width: of the videos, px, even.
        height: of the videos, px, even.
        difficulty: a key of DIFFICULTIES.
        pool: sentences to draw from, see `timelines.pool`.
        shuffle_words: random words instead of sentences.
        sentences: ids to say instead of a random choice.
        voices: "formant" (built in) or "espeak" (extra `speech`).
        takes: recordings per language, by other voices and in other rooms; the first is the clip's sound.
        studio: the first take is clean, as a dubbing studio delivers; False: any room and noise.
        supersample: samples per pixel and axis.
        view: what the camera sees across the shorter side, in dm; 2.9 is head and shoulders, 1.9 a close-up.
    """

    id: str
    seed: int
    identity: int
    source: str = "en"
    dubs: tuple[str, ...] = ()
    seconds: float = 8.0
    fps: float = 25.0
    width: int = 256
    height: int = 256
    difficulty: str = "normal"
    pool: str = "train"
    shuffle_words: bool = False
    sentences: tuple[str, ...] = ()
    voices: str = "formant"
    takes: int = 1
    studio: bool = True
    supersample: int = 2
    view: float = 2.9

    @property
    def n_frames(self) -> int:
        """Frames of every video of the clip."""
        return round(self.seconds * self.fps)

    @property
    def duration_s(self) -> float:
        """Exact length of n_frames."""
        return self.n_frames / self.fps

    @property
    def languages(self) -> tuple[str, ...]:
        """The source's language first, no language twice."""
        return tuple(dict.fromkeys((self.source, *self.dubs)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClipSpec:
        """What `to_dict` made."""
        plain: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**plain)


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """An independent source of random numbers for each purpose: adding one never changes another."""
    digest = hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4"))


@dataclass(frozen=True)
class CorpusSpec:
    """A whole data set.

    Attributes:
        name: of the data set.
        seed: of everything.
        identities: how many people.
        clips_per_identity: how many clips of each.
        languages: spoken in every clip; the first clip's original is the first, then they take turns.
        difficulties: taken in turn by the clips.
        first_identity: number of the first person: corpora with other numbers have other people.
        clip: what all clips share (id, seed, identity, source and dubs are set per clip).
        crf: x264 quality of the videos.
        audio: "wav" or "flac" for the dubs.
        chosen: these clips exactly, instead of the regular ones.
    """

    name: str = "synthetic"
    seed: int = 0
    identities: int = 1
    clips_per_identity: int = 1
    languages: tuple[str, ...] = ("en", "fr", "es", "de", "it")
    difficulties: tuple[str, ...] = ("normal",)
    first_identity: int = 0
    clip: ClipSpec = field(default_factory=lambda: ClipSpec("", 0, 0))
    crf: int = 16
    audio: str = "wav"
    chosen: tuple[ClipSpec, ...] = ()

    def clips(self) -> list[ClipSpec]:
        """The specs of all clips, in order.

        Raises:
            UsageError: no clip, an unknown difficulty.
        """
        if self.identities < 1 or self.clips_per_identity < 1 or not self.languages:
            raise UsageError(
                "nothing to generate", "identities, clips and languages must be at least one", "raise --identities"
            )
        for name in (*self.difficulties, *(clip.difficulty for clip in self.chosen)):
            difficulty(name)
        if self.chosen:
            return list(self.chosen)
        out: list[ClipSpec] = []
        for person in range(self.identities):
            for number in range(self.clips_per_identity):
                k = len(out)
                source = self.languages[k % len(self.languages)]
                dubs = tuple(tag for tag in self.languages if tag != source)
                identity = self.first_identity + person
                out.append(
                    replace(
                        self.clip,
                        id=f"p{identity:03d}-{number:02d}",
                        seed=int(stream(self.seed, "clip", person, number).integers(1 << 62)),
                        identity=identity,
                        source=source,
                        dubs=dubs,
                        difficulty=self.difficulties[k % len(self.difficulties)],
                    )
                )
        return out


def check_size(specs: Sequence[ClipSpec]) -> None:
    """Refuse what no video can hold.

    Raises:
        UsageError: an odd or tiny size.
    """
    for spec in specs:
        if spec.width % 2 or spec.height % 2 or min(spec.width, spec.height) < 64:
            raise UsageError(
                f"cannot generate videos of {spec.width}x{spec.height}",
                "H.264 4:2:0 needs even sides, a face at least 64 pixels",
                "use --resolution 256, 450x450, 720p ...",
            )
