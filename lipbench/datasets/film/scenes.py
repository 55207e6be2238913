"""What is known of a dub in one scene, and its sound there at the film's speed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import TooShort
from lipbench.datasets.film.align_file import DubTrack, PieceEntry
from lipbench.datasets.film.times import Scene, clock
from lipbench.media import load_audio
from lipbench.media.streams import SoundChoice

State = Literal["measured", "by hand", "carried", "one-sided", "edge", "outside", "refused"]

#: States of a scene in which it may be cut, and those in which a person has to agree.
SURE: tuple[State, ...] = ("measured", "by hand", "carried")
ASK: tuple[State, ...] = ("one-sided",)

#: A scene stays clear of where an edge may lie by this, s.
CLEAR_S = 1.0

#: Where a piece's end is less sure than this, s, nothing is heard beside it.
OUTER_S = 3.0

#: Sounds on both sides of a scene and no farther than this carry the offset over it, s.
CARRY_S = 300.0


@dataclass(frozen=True)
class SceneState:
    """What is known of a dub in a scene.

    Attributes:
        state: measured: sounds that both have are heard in it; carried: on both sides of it, in the same piece, within
            five minutes; one-sided: on one side only; by hand: a person wrote the piece; edge: an edge lies, or may
            lie, in it or within a second of it; outside: the dub has no such part; refused: the dub is not aligned.
        piece: the piece that it lies in, None where there is none.
        why: in words, where it is not measured.
    """

    state: State
    piece: PieceEntry | None
    why: str = ""


def piece_at(dub: DubTrack, at: float) -> PieceEntry | None:
    """The piece that covers a second of the film."""
    return next((piece for piece in dub.pieces if piece.start <= at < piece.end), None)


def scene_state(dub: DubTrack, scene: Scene) -> SceneState:
    """What is known of a dub in a scene."""
    if dub.verdict == "refused":
        return SceneState("refused", None, dub.why)
    for a, b in zip(dub.pieces[:-1], dub.pieces[1:], strict=True):
        low, high = a.end - a.end_unsure, b.start + b.start_unsure
        if a.by == "hand" and b.by == "hand":
            low, high = a.end, b.start
        if scene.start < high + CLEAR_S and scene.end > low - CLEAR_S:
            off = max(a.end_unsure, b.start_unsure)
            return SceneState("edge", None, f"an edit lies at {clock(a.end)} +- {off:.1f} s")
    piece = next((p for p in dub.pieces if p.start <= scene.start and scene.end <= p.end), None)
    if piece is None:
        parts = ", ".join(f"{clock(p.start)}-{clock(p.end)}" for p in dub.pieces)
        return SceneState("outside", None, f"the dub has {parts} of the film")
    if piece.by == "hand":
        return SceneState("by hand", piece, "its offset is written by hand")
    spans = piece.spans
    early, late = scene.start < piece.start + piece.start_unsure, scene.end > piece.end - piece.end_unsure
    if (early and piece.start_unsure > OUTER_S) or (late and piece.end_unsure > OUTER_S):
        return SceneState("one-sided", piece, "nothing in common is heard from it to the end of the piece")
    if any(a < scene.end and b > scene.start for a, b in spans):
        return SceneState("measured", piece)
    before = max((b for _, b in spans if b <= scene.start), default=None)
    after = min((a for a, _ in spans if a >= scene.end), default=None)
    gaps = [np.inf if before is None else scene.start - before, np.inf if after is None else after - scene.end]
    near = [gap <= CARRY_S for gap in gaps]
    if all(near):
        why = f"nothing in common is heard in it, but {gaps[0]:.0f} s before and {gaps[1]:.0f} s after it"
        return SceneState("carried", piece, why)
    where = f"within {CARRY_S:.0f} s on either side of it" if not any(near) else "after it" if near[0] else "before it"
    return SceneState("one-sided", piece, f"nothing in common is heard in it, nor {where}")


def read_dub(
    file: Path, dub: DubTrack, piece: PieceEntry, scene: Scene, rate: int, channel: str | None = None
) -> NDArray[np.int16]:
    """The dub's sound of a scene at the film's speed: sample 0 is the scene's beginning.

    Args:
        file: the dub's.
        dub: what is known of it.
        piece: the piece that the scene lies in.
        scene: seconds of the film.
        rate: samples a second.
        channel: one channel alone; all mixed when left out.

    Returns:
        (round(length * rate),) int16; silence where the dub has not begun or has ended.

    Raises:
        MediaError: the file cannot be read, or has no such channel.
    """
    begin, end = dub.rate * scene.start + piece.offset, dub.rate * scene.end + piece.offset
    n, lead = round((scene.end - scene.start) * rate), 0
    out = np.zeros(n, np.int16)
    if begin < 0:
        lead, begin = round(-begin / dub.rate * rate), 0.0
    if end <= begin:
        return out
    choice = SoundChoice(dub.track, channel)
    try:
        track = load_audio(file, rate, start_s=begin, end_s=end, choice=choice, speed=1 / dub.rate)
    except TooShort:
        return out
    samples = track.samples[: n - lead]
    out[lead : lead + len(samples)] = samples
    return out
