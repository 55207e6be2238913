"""What is known of a dub's place in its film: pieces, verdict, and what they were read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lipbench.datasets.film.path import Step

Verdict = Literal["ok", "carried", "refused"]


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
    pitch: Literal["moved", "kept"] | None = None
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
