"""All dubs of a film aligned, and what is known of them kept in film.align.yaml after each."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lipbench.core.errors import ManifestError, UsageError
from lipbench.datasets.film.align import REACH_S, align
from lipbench.datasets.film.align_file import (
    AlignFile,
    DubTrack,
    FilmTrack,
    PieceEntry,
    merged,
    read_align_file,
    write_align_file,
)
from lipbench.datasets.film.alignment import Alignment
from lipbench.datasets.film.by_sounds import Sounds
from lipbench.datasets.film.film_tracks import SoundTrack, dubs_of, ends_sha256, original_of, sound_tracks
from lipbench.datasets.film.path import Step
from lipbench.datasets.film.search import CLEAR, STEP_S, Searcher
from lipbench.datasets.film.tracks import Track, pairs, read_track
from lipbench.datasets.model import language_tag
from lipbench.media.streams import SoundChoice

#: `check` looks this far from a piece's offset, s.
CHECK_S = 1.0


@dataclass(frozen=True)
class AlignedDub:
    """What `align_film` found of one dub.

    Attributes:
        language: of the dub.
        entry: as it is written.
        measured: None where the file had it already.
        remarks: what the user should know.
    """

    language: str
    entry: DubTrack
    measured: Alignment | None
    remarks: tuple[str, ...] = ()


def align_film(
    film: Path,
    path: Path,
    *,
    original: int | None = None,
    dubs: Mapping[str, str] | None = None,
    offsets: Mapping[str, float] | None = None,
    reach_s: float = REACH_S,
    again: bool = False,
    done: Callable[[AlignedDub], None] = lambda _: None,
) -> AlignFile:
    """Align the dubs of a film and write `path`, after each of them.

    Dubs that `path` has already, of files that have not changed, are kept as they are.

    Args:
        film: the film; its original sound is in it.
        path: the file to write.
        original: number of the original's track.
        dubs: language -> FILE or FILE:a:N; all tracks of another language when left out.
        offsets: language -> offset (s) that a person gives: the dub is one piece of it, by hand.
        reach_s: how far from its place in the film a dub is looked for.
        again: align what the file has already, too.
        done: is told of each dub.

    Raises:
        UsageError: it is not clear what is to be aligned.
        MediaError, NoAudio, TooShort: a file that cannot be read.
        ManifestError: `path` is there and is no such file.
        DiskFull: there is no room.
    """
    tracks = sound_tracks(film)
    own = original_of(tracks, original)
    wanted = dubs_of(film, tracks, own, {language_tag(k): v for k, v in (dubs or {}).items()})
    given = {language_tag(k): v for k, v in (offsets or {}).items()}
    if unknown := sorted(set(given) - set(wanted)):
        raise UsageError(f"an offset for {unknown[0]!r}: there is no such dub", "", f"dubs: {', '.join(wanted)}")
    old = read_align_file(path) if path.exists() else None
    ends = ends_sha256(film)
    if old is not None and (old.film.ends_sha256, old.film.track) != (ends, own.number):
        if any(piece.by == "hand" for dub in old.dubs.values() for piece in dub.pieces):
            raise ManifestError(
                f"{path} is about another film, or another track of it",
                "pieces in it are written by hand, and would be lost",
                "name another file: -o other.align.yaml",
            )
        old = None
    kept = dict(old.dubs) if old else {}
    with tempfile.TemporaryDirectory(prefix="lipbench-film-") as folder:
        read: Track | None = None
        seconds = old.film.seconds if old else 0.0
        for language, track in wanted.items():
            before, dub_ends = kept.get(language), ends_sha256(track.file)
            same = before is not None and (before.ends_sha256, before.track) == (dub_ends, track.number)
            if before is not None and same and not again and language not in given:
                done(AlignedDub(language, before, None))
                continue
            if read is None:
                read = read_track(film, Path(folder) / "film", SoundChoice(own.number))
                seconds = read.seconds
            sound = read_track(track.file, Path(folder) / language, SoundChoice(track.number))
            try:
                found = align(read, sound, reach_s=reach_s)
            finally:
                sound.close()
            if before is not None and not same:
                before = None
            if language in given:
                before = _by_hand(track, given[language], found.rate if found.pieces else 1.0, seconds)
            entry, remarks = _entry(track, dub_ends, found, before, path)
            kept[language] = entry
            write_align_file(path, _file(film, own, ends, seconds, kept, path))
            done(AlignedDub(language, entry, found, remarks))
        if read is not None:
            read.close()
    return _file(film, own, ends, seconds, kept, path)


def _file(film: Path, own: SoundTrack, ends: str, seconds: float, dubs: dict[str, DubTrack], path: Path) -> AlignFile:
    about = FilmTrack(
        file=_relative(film, path),
        track=own.number,
        language=own.language or None,
        ends_sha256=ends,
        seconds=round(seconds, 3),
    )
    return AlignFile(schema=1, film=about, dubs=dubs)


def _entry(
    track: SoundTrack, ends: str, found: Alignment, before: DubTrack | None, path: Path
) -> tuple[DubTrack, tuple[str, ...]]:
    pieces, said = merged(found, before)
    verdict, why = found.verdict, found.why
    if verdict == "refused" and pieces:
        verdict, why = "carried", f"written by hand; measured: {found.why}"
    entry = DubTrack(
        file=_relative(track.file, path),
        track=track.number,
        ends_sha256=ends,
        rate=before.rate if before and not found.pieces and pieces else found.rate,
        pitch=found.pitch,
        inverted=found.inverted,
        verdict=verdict,
        why=why,
        log10_chance=round(max(found.chance, -999.0), 1),
        pieces=tuple(pieces),
    )
    return entry, tuple(said)


def _by_hand(track: SoundTrack, offset: float, rate: float, seconds: float) -> DubTrack:
    start = max(0.0, -offset / rate)
    piece = {"from": start, "to": max(seconds, start + 1), "offset": offset, "by": "hand"}
    about = {"file": str(track.file), "track": track.number, "rate": rate, "verdict": "carried", "pieces": [piece]}
    return DubTrack.model_validate(about)


def _relative(file: Path, path: Path) -> str:
    return Path(os.path.relpath(file.resolve(), path.resolve().parent)).as_posix()


@dataclass(frozen=True)
class CheckedPiece:
    """A piece as written, and what is measured near it.

    Attributes:
        piece: as written.
        measured: offset, s; None where nothing is heard.
        sounds: single sounds that name it.
    """

    piece: PieceEntry
    measured: float | None
    sounds: int


def check_dub(file: AlignFile, language: str, folder: Path) -> list[CheckedPiece]:
    """Measure a dub anew within a second of every piece that is written.

    Args:
        file: what is written.
        language: of the dub.
        folder: that of the file, which its paths start from.

    Raises:
        UsageError: the file has no such dub.
        MediaError, NoAudio, TooShort: a file that cannot be read.
        DiskFull: there is no room.
    """
    if language not in file.dubs:
        raise UsageError(f"there is no dub {language!r} in it", f"it has {', '.join(file.dubs)}", "name one of them")
    dub = file.dubs[language]
    with tempfile.TemporaryDirectory(prefix="lipbench-check-") as temporary:
        film = read_track(folder / file.film.file, Path(temporary) / "film", SoundChoice(file.film.track))
        sound = read_track(folder / dub.file, Path(temporary) / "dub", SoundChoice(dub.track))
        try:
            searcher = Searcher(pairs(film, sound), CHECK_S)
            steps = [s for piece in dub.pieces for s in _near(searcher, dub.rate, piece)]
            if not steps:
                return [CheckedPiece(piece, None, 0) for piece in dub.pieces]
            sounds = Sounds(film, sound, dub.rate, steps, Path(temporary))
            try:
                return [_checked(piece, steps, sounds) for piece in dub.pieces]
            finally:
                sounds.close()
        finally:
            film.close()
            sound.close()


def _near(searcher: Searcher, rate: float, piece: PieceEntry) -> list[Step]:
    out = []
    for start in np.arange(piece.start, max(piece.end - 20, piece.start) + 0.01, STEP_S):
        stretch = searcher.look(float(start), rate, piece.offset)
        if stretch.candidates and stretch.candidates[0].z >= CLEAR:
            out.append(Step(stretch.middle, stretch.candidates[0].offset, stretch.candidates[0].z))
    return out


def _checked(piece: PieceEntry, steps: list[Step], sounds: Sounds) -> CheckedPiece:
    inside = [c for c in sounds.cells if c.sharp and piece.start <= c.at / sounds.rate < piece.end]
    if len(inside) >= 3:
        return CheckedPiece(piece, float(np.median([c.lag for c in inside])), len(inside))
    coarse = [s.offset for s in steps if piece.start <= s.middle < piece.end]
    return CheckedPiece(piece, float(np.median(coarse)) if coarse else None, len(inside))
