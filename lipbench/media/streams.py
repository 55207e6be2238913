"""Which sound of a file is meant: one of its audio streams, and one of that stream's channels or all of them.

A file is named with one of its streams as `FILE:a:N`, N counting its audio streams from 0 as ffmpeg does. Without one
it is the stream tagged with the wanted language, else the only one, else the one that is flagged as default, which is
remarked; where these leave several, nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from av.audio.stream import AudioStream
from av.container import InputContainer

from lipbench.core.errors import MediaError, NoAudio, UsageError
from lipbench.media.languages import primary, wider
from lipbench.media.opening import tags

_NAMED = re.compile(r"(?P<file>.+):a:(?P<stream>\d+)", re.DOTALL)


@dataclass(frozen=True)
class SoundChoice:
    """Which sound of a file is wanted.

    Attributes:
        stream: number of the audio stream, from 0; None = by the rule above.
        channel: one channel of it by the name that `downmix.CHANNELS` has; None = all, mixed to one.
        language: what is spoken in the wanted stream (BCP-47), None when that is not known.
    """

    stream: int | None = None
    channel: str | None = None
    language: str | None = None


#: By the rule, all channels mixed, whatever the language.
ANY = SoundChoice()


@dataclass(frozen=True)
class Chosen:
    """An audio stream of an open container, its number, how many there are, and what to say about the choice."""

    stream: AudioStream
    number: int
    of: int
    remarks: tuple[str, ...] = ()


def split_stream(path: str | Path) -> tuple[Path, int | None]:
    """The file and the audio stream that a text of the form `FILE:a:N` names; (FILE, None) without a stream.

    The only place that reads this form. A file whose own name ends like that is that file.
    """
    text = str(path)
    match = _NAMED.fullmatch(text)
    if match is None or Path(text).exists():
        return Path(path), None
    return Path(match["file"]), int(match["stream"])


def sound_of(path: str | Path, choice: SoundChoice | None = None) -> tuple[Path, SoundChoice]:
    """The file, and the choice with the stream that the path names.

    Raises:
        UsageError: the path and the choice name two streams.
    """
    choice = choice or ANY
    file, stream = split_stream(path)
    if stream is None:
        return file, choice
    if choice.stream not in (None, stream):
        raise UsageError(
            f"{path} names the audio stream {stream}, and {choice.stream} is asked for as well",
            "one of them is wrong",
            "name one stream",
        )
    return file, replace(choice, stream=stream)


def choose(path: Path, container: InputContainer, choice: SoundChoice) -> Chosen:
    """The audio stream that is meant.

    Raises:
        NoAudio: there is none.
        MediaError: the one that is named is not there, or several are left.
    """
    streams = container.streams.audio
    if not streams:
        raise NoAudio(f"cannot take sound from {path}", "it has no audio stream", "give a file with sound")
    if choice.stream is not None:
        if choice.stream >= len(streams):
            raise MediaError(
                f"{path} has no audio stream a:{choice.stream}",
                f"it has {listed(streams)}",
                f"name one of them, such as {path}:a:0 (in a manifest: stream: 0)",
            )
        return Chosen(streams[choice.stream], choice.stream, len(streams))
    wanted = choice.language if primary(choice.language) else None
    for same in (primary, wider):
        found = [i for i, s in enumerate(streams) if wanted and same(wanted) in map(same, _languages(s))]
        if len(found) == 1:
            return Chosen(streams[found[0]], found[0], len(streams))
        if found:
            return _one_of(path, streams, found, f"{len(found)} are tagged {wanted}")
    if len(streams) == 1:
        return Chosen(streams[0], 0, 1, _another_language(path, streams[0], wanted))
    return _one_of(path, streams, range(len(streams)), f"none is tagged {wanted}" if wanted else "")


def _one_of(path: Path, streams: Sequence[AudioStream], numbers: Sequence[int], why: str) -> Chosen:
    """The default one of several streams, with a remark.

    Raises:
        MediaError: none is, or more than one.
    """
    why = f", {why}" if why else ""
    default = [i for i in numbers if streams[i].disposition & streams[i].disposition.default]
    if len(default) != 1:
        several = "more than one is" if default else "none is"
        raise MediaError(
            f"which of the audio streams of {path} is meant?",
            f"it has {listed(streams)}{why}, and {several} flagged as default",
            f"name one: {path}:a:{numbers[0]}, in a manifest `stream: {numbers[0]}`",
            reason="which_audio",
        )
    number = default[0]
    remark = (
        f"{path} has {listed(streams)}{why}: the default one, a:{number}, is used; "
        f"{path}:a:N (in a manifest `stream: N`) names another"
    )
    return Chosen(streams[number], number, len(streams), (remark,))


def _another_language(path: Path, stream: AudioStream, wanted: str | None) -> tuple[str, ...]:
    tagged = [tag for tag in _languages(stream) if primary(tag)]
    if not wanted or not tagged:
        return ()
    return (f"the only audio stream of {path} is tagged {'/'.join(tagged)}, not {wanted}",)


def _languages(stream: AudioStream) -> list[str]:
    """The languages that a stream is tagged with; broadcasts tag one stream with several."""
    return [tag for tag in tags(stream).get("language", "").split(",") if tag]


def listed(streams: Sequence[AudioStream]) -> str:
    """The audio streams of a file for people: "3 audio streams (a:0 ger, a:1 fre 5.1, a:2 eng default)"."""
    named = ", ".join(_words(i, stream) for i, stream in enumerate(streams))
    return f"{len(streams)} audio {'stream' if len(streams) == 1 else 'streams'} ({named})"


def _words(number: int, stream: AudioStream) -> str:
    words = [f"a:{number}", "/".join(_languages(stream)) or "untagged"]
    if stream.codec_context is not None and stream.codec_context.channels > 2:
        words.append(stream.layout.name)
    if title := tags(stream).get("title"):
        words.append(repr(title))
    if stream.disposition & stream.disposition.default:
        words.append("default")
    return " ".join(words)
