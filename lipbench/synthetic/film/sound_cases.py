"""Films and dubs with known truth: what an aligner has to find, and what it has to refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.film.bed import RATE, bed, pink
from lipbench.synthetic.film.dialogue import lines, speak
from lipbench.synthetic.film.mixes import Layout, Sound, Span, cut, mix, played, remastered, stretched, to_steps

LANGUAGES = ("fr", "de", "es", "it")


@dataclass(frozen=True)
class SoundCase:
    """A film's sound and a dub's.

    Attributes:
        name: what kind of case it is.
        film: (C, N) int16 at 16 kHz.
        dub: likewise.
        truth: spans of film that the dub has; () where there is nothing to find.
        pitch_kept: the dub was stretched at its own pitch: the truth is good to 20 ms.
    """

    name: str
    film: NDArray[np.int16]
    dub: NDArray[np.int16]
    truth: tuple[Span, ...]
    pitch_kept: bool = False


class World:
    """One generated film: its bed, its lines, and the dialogue in every language.

    Args:
        seed: of everything.
        seconds: length.
    """

    def __init__(self, seed: int, seconds: float) -> None:
        self.seed, self.seconds = seed, seconds
        rng = np.random.default_rng([seed, 1])
        self.lines = lines(seconds, rng)
        self.bed = bed(seconds, rng)
        self.over_db = float(rng.uniform(10, 30))
        self.language = str(rng.choice(LANGUAGES))
        men, women = ("arno", "bruno", "carlo", "emil"), ("alma", "bella", "clara", "elena")
        self._cast = [(str(a), str(b)) for a, b in zip(rng.permutation(men), rng.permutation(women), strict=True)]

    def rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, *name.encode()])

    @cached_property
    def original(self) -> Sound:
        return speak(self.lines, "en", self.seconds, self._cast[0], self.rng("en"))

    @cached_property
    def dubbed(self) -> Sound:
        return speak(self.lines, self.language, self.seconds, self._cast[1], self.rng("dub"))

    @cached_property
    def dubbed_by_the_same(self) -> Sound:
        """The original's voices in another language, as some aligners' false friends are."""
        return speak(self.lines, self.language, self.seconds, self._cast[0], self.rng("en"))

    def film(
        self, over_db: float | None = None, layout: Layout = "mono", reverb: float = 0.0, music: Sound | None = None
    ) -> Sound:
        return self._mix(self.original, over_db, layout, reverb, music, "film")

    def dub(
        self, over_db: float | None = None, layout: Layout = "mono", reverb: float = 0.0, music: Sound | None = None
    ) -> Sound:
        return self._mix(self.dubbed, over_db, layout, reverb, music, "dub")

    def _mix(
        self, speech: Sound, over_db: float | None, layout: Layout, reverb: float, music: Sound | None, what: str
    ) -> Sound:
        music = self.bed if music is None else music
        noise = 1e-4 * self.rng(what + "-noise").standard_normal(music.shape)
        return mix(
            music + noise.astype(np.float32), speech, self.over_db if over_db is None else over_db, layout, reverb
        )


def _case(
    world: World,
    name: str,
    film: Sound,
    dub: Sound,
    parts: list[tuple[float, float, float]],
    rate: float = 1.0,
    kept: bool = False,
    after: Callable[[Sound], Sound] | None = None,
) -> SoundCase:
    dub, truth = cut(dub, parts, rate, world.rng(name))
    if rate != 1:
        dub = stretched(dub, rate) if kept else played(dub, rate)
    dub = dub if after is None else after(dub)
    return SoundCase(name, to_steps(film), to_steps(dub), tuple(truth), kept)


def _edits(world: World, name: str) -> list[tuple[float, float, float]]:
    """Four parts with a few frames or seconds cut between them, or silence put in."""
    rng, s = world.rng(name), world.seconds
    marks = [0.0, *(s * (k + rng.uniform(-0.08, 0.08)) / 4 for k in (1, 2, 3)), s]
    parts = [(marks[0], marks[1], float(rng.uniform(0, 3)))]
    for begin, end in pairwise(marks[1:]):
        how = rng.integers(3)
        lost = (float(rng.choice([0.04, 0.08, 0.48, 0.96])), float(rng.uniform(2, 20)), 0.0)[how]
        parts.append((begin + lost, end, float(rng.uniform(0.1, 3)) if how == 2 else 0.0))
    return parts


Makers = list[Callable[[], SoundCase]]


def alignable(world: World) -> Makers:
    """Makers of dubs that share the film's music and effects, at the world's level under the speech."""
    s, rng = world.seconds, world.rng("alignable")
    offset = [(0.0, s, float(rng.uniform(0, 8)))]
    trimmed = [(float(rng.uniform(0.5, 12)), s, 0.0)]
    layouts: list[tuple[Layout, Layout]] = [("stereo", "stereo"), ("5.1", "stereo"), ("5.1", "5.1"), ("stereo", "mono")]
    film, dub = layouts[rng.integers(4)]
    rate = float(rng.choice([24 / 25, 25 / 24, 24000 / 25025, 25025 / 24000, 1000 / 1001, 1001 / 1000]))
    first = offset if rng.random() < 0.5 else trimmed
    both = "another speed and edits"
    return [
        lambda: _case(world, "edits", world.film(), world.dub(), _edits(world, "edits")),
        lambda: _case(world, "mono", world.film(), world.dub(), first),
        lambda: _case(world, f"{film} and {dub}", world.film(layout=film), world.dub(layout=dub), trimmed),
        lambda: _case(world, "another speed", world.film(), world.dub(), offset, rate),
        lambda: _case(world, both, world.film(), world.dub(), _edits(world, both), 24 / 25),
        lambda: _case(world, "remastered", world.film(), world.dub(), offset, after=remastered),
        lambda: _case(world, "inverted", world.film(), world.dub(), offset, after=np.negative),
    ]


def odd(world: World) -> Makers:
    """Makers of dubs at the edge of what can be aligned: free rates, pitch kept, music in three places only."""
    s, rng = world.seconds, world.rng("odd")
    offset = [(0.0, s, float(rng.uniform(0, 8)))]
    free = float(rng.uniform(0.97, 1.03))

    def sparse() -> SoundCase:
        gate = np.zeros(world.bed.shape[1], np.float32)
        for at in (0.1, 0.45, 0.85):
            gate[round(at * s * RATE) : round((at * s + 15) * RATE)] = 1
        film, dub = (world.bed * gate + 0.15 * np.stack([pink(len(gate), world.rng(w))] * 2) for w in ("a", "b"))
        return _case(world, "sparse", world.film(12, music=film), world.dub(12, music=dub), offset)

    return [
        lambda: _case(world, "pitch kept", world.film(), world.dub(), offset, 24 / 25, kept=True),
        lambda: _case(world, "free rate", world.film(), world.dub(), offset, free),
        sparse,
    ]


def unalignable(world: World) -> Makers:
    """Makers of pairs with nothing to find: another bed under the same lines, no bed at all, another film."""
    s = world.seconds
    parts = [(0.0, s, float(world.rng("unalignable").uniform(0, 4)))]
    still, stranger = np.zeros_like(world.bed), World(world.seed + 100_000, s)

    def none(name: str, film: Sound, dub: Sound) -> SoundCase:
        case = _case(world, name, film, dub, parts)
        return SoundCase(name, case.film, case.dub, ())

    def another_bed() -> SoundCase:
        return none("another bed", world.film(), world.dub(music=bed(s, world.rng("another bed"))))

    def same_voices() -> SoundCase:
        dub = world._mix(world.dubbed_by_the_same, 30, "mono", 0.0, still, "dub")
        return none("no bed, same voices", world.film(30, music=still), dub)

    def one_jingle() -> SoundCase:
        # What films of one studio begin with.
        n = 12 * RATE
        jingle = 2 * bed(12, world.rng("jingle"), loop_s=12)
        ours, theirs = world.bed.copy(), stranger.bed.copy()
        ours[:, :n], theirs[:, :n] = jingle, jingle
        return none("another film, one jingle", world.film(music=ours), stranger.dub(music=theirs))

    return [
        another_bed,
        same_voices,
        one_jingle,
        lambda: none("no bed", world.film(30, music=still), world.dub(30, music=still)),
        lambda: none("another film", world.film(), stranger.dub()),
    ]
