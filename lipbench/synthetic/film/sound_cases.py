"""Films and dubs with known truth: what an aligner has to find, and what it has to refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

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

    def film(self, over_db: float | None = None, layout: Layout = "mono", reverb: float = 0.0, music: Sound | None = None) -> Sound:
        return self._mix(self.original, over_db, layout, reverb, music, "film")

    def dub(self, over_db: float | None = None, layout: Layout = "mono", reverb: float = 0.0, music: Sound | None = None) -> Sound:
        return self._mix(self.dubbed, over_db, layout, reverb, music, "dub")

    def _mix(self, speech: Sound, over_db: float | None, layout: Layout, reverb: float, music: Sound | None, what: str) -> Sound:
        music = self.bed if music is None else music
        noise = 1e-4 * self.rng(what + "-noise").standard_normal(music.shape)
        return mix(music + noise.astype(np.float32), speech, self.over_db if over_db is None else over_db, layout, reverb)


def _case(world: World, name: str, film: Sound, dub: Sound, parts: list[tuple[float, float, float]], rate: float = 1.0,
          kept: bool = False, after: Callable[[Sound], Sound] | None = None) -> SoundCase:
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
    for begin, end in zip(marks[1:-1], marks[2:], strict=True):
        how = rng.integers(3)
        lost = (float(rng.choice([0.04, 0.08, 0.48, 0.96])), float(rng.uniform(2, 20)), 0.0)[how]
        parts.append((begin + lost, end, float(rng.uniform(0.1, 3)) if how == 2 else 0.0))
    return parts


def alignable(world: World) -> Iterator[SoundCase]:
    """Dubs that share the film's music and effects, at the world's level under the speech."""
    s, rng = world.seconds, world.rng("alignable")
    offset = [(0.0, s, float(rng.uniform(0, 8)))]
    trimmed = [(float(rng.uniform(0.5, 12)), s, 0.0)]
    layouts: list[tuple[Layout, Layout]] = [("stereo", "stereo"), ("5.1", "stereo"), ("5.1", "5.1"), ("stereo", "mono")]
    film, dub = layouts[rng.integers(4)]
    yield _case(world, "mono", world.film(), world.dub(), offset if rng.random() < 0.5 else trimmed)
    yield _case(world, f"{film} and {dub}", world.film(layout=film), world.dub(layout=dub), trimmed)
    yield _case(world, "edits", world.film(), world.dub(), _edits(world, "edits"))
    rate = float(rng.choice([24 / 25, 25 / 24, 24000 / 25025, 25025 / 24000, 1000 / 1001, 1001 / 1000]))
    yield _case(world, "another speed", world.film(), world.dub(), offset, rate)
    how = rng.integers(3)
    after = (remastered, np.negative, None)[how]
    name = ("remastered", "inverted", "another speed and edits")[how]
    parts, speed = (_edits(world, name), 24 / 25) if how == 2 else (offset, 1.0)
    yield _case(world, name, world.film(), world.dub(), parts, speed, after=after)


def odd(world: World) -> Iterator[SoundCase]:
    """Dubs at the edge of what can be aligned: free rates, pitch kept, music in three places only."""
    s, rng = world.seconds, world.rng("odd")
    offset = [(0.0, s, float(rng.uniform(0, 8)))]
    yield _case(world, "free rate", world.film(), world.dub(), offset, float(rng.uniform(0.97, 1.03)))
    yield _case(world, "pitch kept", world.film(), world.dub(), offset, 24 / 25, kept=True)
    gate = np.zeros(world.bed.shape[1], np.float32)
    for at in (0.1, 0.45, 0.85):
        gate[round(at * s * RATE) : round((at * s + 15) * RATE)] = 1
    film, dub = (world.bed * gate + 0.15 * np.stack([pink(len(gate), world.rng(w))] * 2) for w in ("a", "b"))
    yield _case(world, "sparse", world.film(12, music=film), world.dub(12, music=dub), offset)


def unalignable(world: World) -> Iterator[SoundCase]:
    """Nothing to find: another bed under the same lines, no bed at all, another film."""
    s, rng = world.seconds, world.rng("unalignable")
    parts = [(0.0, s, float(rng.uniform(0, 4)))]
    other = bed(s, world.rng("another bed"))
    still = np.zeros_like(world.bed)
    stranger = World(world.seed + 100_000, s)

    def none(name: str, film: Sound, dub: Sound) -> SoundCase:
        case = _case(world, name, film, dub, parts)
        return SoundCase(name, case.film, case.dub, ())

    yield none("another bed", world.film(), world.dub(music=other))
    yield none("no bed", world.film(30, music=still), world.dub(30, music=still))
    same = world._mix(world.dubbed_by_the_same, 30, "mono", 0.0, still, "dub")
    yield none("no bed, same voices", world.film(30, music=still), same)
    yield none("another film", world.film(), stranger.dub())
    # What films of one studio begin with.
    jingle, n = 2 * bed(12, world.rng("jingle"), loop_s=12), 12 * RATE
    ours, theirs = world.bed.copy(), stranger.bed.copy()
    ours[:, :n], theirs[:, :n] = jingle, jingle
    yield none("another film, one jingle", world.film(music=ours), stranger.dub(music=theirs))
