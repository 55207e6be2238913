"""What is known of a dub's place in its film: pieces, verdict, and what they were read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from lipbench.datasets.film.path import Step

Verdict = Literal["ok", "carried", "refused"]
Pitch = Literal["moved", "kept"]


@dataclass(frozen=True)
class Piece:
    """A part of the film at which the dub has one offset: dub time = rate * film time + offset.

    Attributes:
        start: s of film.
        end: s of film.
        offset: s.
        heard: share of its time, without silence, in which music and effects that both have were heard.
        precision_ms: of the offset.
        start_unsure: the beginning may be off by as much, s.
        end_unsure: likewise the end.
        by_hand: a person wrote it.
        moments: s of film at which sounds were heard by themselves.
    """

    start: float
    end: float
    offset: float
    heard: float
    precision_ms: float
    start_unsure: float = 0.0
    end_unsure: float = 0.0
    by_hand: bool = False
    moments: tuple[float, ...] = ()


@dataclass(frozen=True)
class Alignment:
    """A dub's place in its film.

    Attributes:
        rate: seconds of dub a second of film.
        pieces: in order of time; () when refused.
        verdict: ok: heard throughout; carried: heard in too few places to know the offset between them, which is taken
            from the nearest; refused: not known.
        why: in words, when not ok.
        pitch: moved with the rate or kept; None for a dub as fast as the film.
        inverted: the dub is of the other polarity.
        chance: log10 of how likely the evidence is without anything in common.
        sharp: offsets come from waveforms; otherwise from what changes in bands, to some 20 ms.
        steps: what stretches of 20 s said.
        sounds: (film time, offset) of every single sound heard.
        film_s: length of the film.
    """

    rate: float
    pieces: tuple[Piece, ...]
    verdict: Verdict
    why: str = ""
    pitch: Pitch | None = None
    inverted: bool = False
    chance: float = 0.0
    sharp: bool = True
    steps: tuple[Step, ...] = field(default=(), repr=False)
    sounds: tuple[tuple[float, float], ...] = field(default=(), repr=False)
    film_s: float = 0.0

    @property
    def heard(self) -> float:
        """Share of the pieces' time in which both were heard."""
        total = sum(p.end - p.start for p in self.pieces)
        return sum(p.heard * (p.end - p.start) for p in self.pieces) / total if total else 0.0


#: A piece is carried over no more silence, speech and noise than this, s, or the verdict says so.
CARRY_S = 300.0

#: The verdict is carried as well where more of the pieces' time than this lies farther than NEAR_S from a sound.
CARRY_SHARE, NEAR_S = 0.5, 30.0


def refused(rate: float, why: str, film_s: float) -> Alignment:
    """That nothing is known, and why."""
    return Alignment(rate, (), "refused", why, film_s=film_s)


def verdict_of(pieces: tuple[Piece, ...]) -> tuple[Verdict, str]:
    """Whether pieces are heard throughout, and what to say where they are not."""
    far, total, widest, where = 0.0, 0.0, 0.0, 0.0
    for piece in pieces:
        marks = [piece.start, *piece.moments, piece.end]
        total += piece.end - piece.start
        for k, (a, b) in enumerate(pairwise(marks)):
            if b - a > widest:
                widest, where = b - a, a
            beside = (k > 0) + (k < len(marks) - 2)
            far += max(b - a - beside * NEAR_S, 0.0)
    if widest > CARRY_S:
        return "carried", f"nothing in common is heard for {widest:.0f} s from {where:.0f} s on"
    if far > CARRY_SHARE * total:
        return "carried", f"{far / total:.0%} of it lies more than {NEAR_S:g} s from a sound that both have"
    return "ok", ""
