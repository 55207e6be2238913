"""The sound tracks of a film file: which is the original, which are dubs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lipbench.core.errors import MediaError, NoAudio, UsageError
from lipbench.media.languages import primary, shortest
from lipbench.media.opening import open_input, tags
from lipbench.media.streams import split_stream

#: Bytes at either end of a file that tell it from another one.
ENDS = 1 << 20


@dataclass(frozen=True)
class SoundTrack:
    """One sound track of a file.

    Attributes:
        file: the file.
        number: of the track, from 0.
        language: short tag, "" where the file does not say.
        layout: stereo, 5.1(side), ...
        title: as the file says.
        default: flagged as the one to play.
    """

    file: Path
    number: int
    language: str = ""
    layout: str = ""
    title: str = ""
    default: bool = False

    @property
    def name(self) -> str:
        return f"{self.file}:a:{self.number}"

    def __str__(self) -> str:
        words = [f"a:{self.number}", self.language or "untagged", self.layout, repr(self.title) if self.title else ""]
        return " ".join(word for word in [*words, "default" if self.default else ""] if word)


def sound_tracks(file: Path) -> list[SoundTrack]:
    """The sound tracks of a file.

    Raises:
        MediaError: it cannot be read.
        NoAudio: it has none.
    """
    with open_input(file) as container:
        out = []
        for k, stream in enumerate(container.streams.audio):
            said = tags(stream)
            language = shortest(said.get("language", "").split(",")[0])
            layout = "" if stream.codec_context is None else stream.layout.name
            default = bool(stream.disposition & stream.disposition.default)
            out.append(SoundTrack(file, k, language, layout, said.get("title", ""), default))
    if not out:
        raise NoAudio(f"cannot align the sound of {file}", "it has no audio stream", "give a file with sound")
    return out


def original_of(tracks: list[SoundTrack], wanted: int | None) -> SoundTrack:
    """The original's track: the one that is named, else the only default one, else the first.

    Raises:
        MediaError: there is no such track.
    """
    if wanted is not None:
        return _numbered(tracks, wanted)
    default = [track for track in tracks if track.default]
    return default[0] if len(default) == 1 else tracks[0]


def dubs_of(
    film: Path, tracks: list[SoundTrack], original: SoundTrack, named: Mapping[str, str]
) -> dict[str, SoundTrack]:
    """Language -> the track of its dub: those that are named, else all of another language than the original.

    Args:
        named: language -> FILE or FILE:a:N.

    Raises:
        UsageError: no track is of another language, or several are of one; a dub is the original's own track.
        MediaError, NoAudio: a file that cannot be read or has no such track.
    """
    if not named:
        return _others(film, tracks, original)
    out = {}
    for language, text in named.items():
        file, number = split_stream(text)
        there = sound_tracks(file)
        if number is None:
            same = [t for t in there if primary(t.language) == primary(language) and t.name != original.name]
            if len(same) != 1 and len(there) != 1:
                listed = ", ".join(map(str, there))
                raise UsageError(
                    f"which track of {file} is the dub {language!r}?",
                    f"{len(same)} of its tracks are tagged so: {listed}",
                    f"name it: --dub {language}={file}:a:N",
                )
            track = same[0] if len(same) == 1 else there[0]
        else:
            track = _numbered(there, number)
        if track.file.resolve() == original.file.resolve() and track.number == original.number:
            raise UsageError(
                f"the dub {language!r} is the original itself: {track.name}",
                "it is the track that dubs are aligned with",
                f"name another track: --dub {language}={file}:a:N, or --original a:N",
            )
        out[language] = track
    return out


def _others(film: Path, tracks: list[SoundTrack], original: SoundTrack) -> dict[str, SoundTrack]:
    listed = ", ".join(map(str, tracks))
    if len(tracks) == 1:
        raise UsageError(
            f"{film} has one sound track, {listed}", "there is nothing to align", "give dubs: --dub fr=french.mka"
        )
    out: dict[str, SoundTrack] = {}
    for track in tracks:
        if not track.language or primary(track.language) == primary(original.language):
            continue
        if track.language in out:
            raise UsageError(
                f"{film} has several sound tracks in {track.language!r}",
                f"a:{out[track.language].number} and a:{track.number} of {listed}",
                f"name the dubs: --dub {track.language}={film}:a:{track.number}",
            )
        out[track.language] = track
    if not out:
        raise UsageError(
            f"no sound track of {film} is tagged with another language than the original, a:{original.number}",
            f"it has {listed}",
            f"name the dubs: --dub fr={film}:a:1, and the original: --original a:0",
        )
    return out


def _numbered(tracks: list[SoundTrack], number: int) -> SoundTrack:
    if number >= len(tracks):
        listed = ", ".join(map(str, tracks))
        file = tracks[0].file
        raise MediaError(f"{file} has no sound track a:{number}", f"it has {listed}", f"name one, such as {file}:a:0")
    return tracks[number]


def ends_sha256(file: Path) -> str:
    """A hash of a file's size, first and last MiB: of 20 GB a whole hash takes minutes.

    Raises:
        MediaError: it cannot be read.
    """
    try:
        with open(file, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(0)
            found = hashlib.sha256(str(size).encode() + b"\0" + stream.read(ENDS))
            stream.seek(max(size - ENDS, 0))
            found.update(stream.read(ENDS))
    except OSError as error:
        raise MediaError(f"cannot read {file}", str(error.strerror), "check the path") from error
    return found.hexdigest()
