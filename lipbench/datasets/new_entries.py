"""A clip and dubs that are to be added to a manifest: made from files and from what was said of them, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import PydanticCustomError

from lipbench import media
from lipbench.core import keys
from lipbench.core.errors import NoAudio, UsageError
from lipbench.datasets.dub_sound import DubSound
from lipbench.datasets.model import language_tag
from lipbench.datasets.phonemes import read_phonemes
from lipbench.datasets.types import Aligned, Clip, Dub, DubKind, Licence, Manifest
from lipbench.media.image_series import is_pattern, is_series
from lipbench.media.streams import split_stream


@dataclass(frozen=True)
class NewDub:
    """A dub to be added; the fields are those of `Dub`.

    Attributes:
        audio: a file, or one of its streams as FILE:a:N.
    """

    audio: Path
    offset_s: float = 0.0
    transcript: str | None = None
    phonemes: Path | None = None
    channel: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    rate: float = 1.0
    aligned: Aligned | None = None


def default_id(video: Path) -> str:
    """An id made of a file's name, or of the folder's for a pattern."""
    if is_pattern(video):
        video = video.parent.resolve()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", video.stem).strip("-._") or "clip"


def tag_of(text: str) -> str:
    """A language's tag in its usual spelling.

    Raises:
        UsageError: it is none.
    """
    try:
        return language_tag(text)
    except PydanticCustomError as error:
        context = error.context or {}
        raise UsageError(f"{text!r}: {context['what']}", "", context["hint"]) from None


def new_clip(
    manifest: Manifest,
    video: Path,
    digest: str,
    clip_id: str | None,
    speaker: str | None,
    language: str | None,
    licence: Licence | None,
    consent: str,
    source_url: str,
    fps: float | None,
) -> Clip:
    """The clip of a video, with what was said of it; see `add_clip`.

    Raises:
        UsageError: something needed is not given.
    """
    if language is None:
        raise UsageError(f"which language is spoken in {video.name}?", "", "give --language, e.g. --language en")
    if not consent:
        raise UsageError(
            f"on what grounds may the face in {video.name} be altered?", "", 'give --consent, e.g. "written, on file"'
        )
    if is_series(video) and fps is None:
        raise UsageError(f"how many pictures of {video} are shown in a second?", "", "give --fps, e.g. --fps 25")
    info = media.probe(video, picture_fps=fps)
    name = clip_id or default_id(video)
    return Clip(
        name,
        video,
        digest,
        speaker or name,
        tag_of(language),
        licence or manifest.licence,
        consent,
        fps=fps or round(float(info.fps), 3),
        source_url=source_url,
    )


def check_span(clip: Clip) -> None:
    """Refuse a part of a video that is none.

    Raises:
        UsageError: it ends before it begins, or begins after the video's end.
    """
    if clip.start_s < 0 or (clip.end_s is not None and clip.end_s <= clip.start_s):
        raise UsageError(f"cannot use {clip.start_s} s to {clip.end_s} s", "", "mend --start and --end")
    length = media.probe(clip.video, picture_fps=clip.fps).duration_s
    if clip.start_s >= length:
        raise UsageError(f"--start {clip.start_s:g} lies after the end of {clip.video}", f"it ends at {length:.2f} s")


def own_sound(clip: Clip) -> Iterator[str]:
    """What the user should know of a clip's own sound."""
    choice = media.SoundChoice(clip.stream, clip.channel, clip.language)
    try:
        track = media.load_audio(clip.video, start_s=clip.start_s, end_s=clip.end_s, choice=choice)
    except NoAudio:
        return
    yield from track.remarks
    if silent := media.silence(track.samples):
        yield f"{clip.video.name}: {silent}"


def new_dub(want: NewDub, clip: Clip, dub_id: str, tag: str, kind: DubKind, said: list[str]) -> Dub:
    """The dub, its sound read once.

    Raises:
        MediaError, NoAudio, ManifestError: it cannot be used.
    """
    audio, stream = split_stream(want.audio)
    if want.phonemes is not None:
        read_phonemes(want.phonemes)
    dub = Dub(
        dub_id,
        clip.id,
        tag,
        kind,
        audio,
        keys.sha256_file(audio),
        want.offset_s,
        want.transcript,
        want.phonemes,
        stream,
        want.channel,
        want.start_s,
        want.end_s,
        want.rate,
        want.aligned,
    )
    track = DubSound.of(dub, clip).read(_used(clip))
    if len(track.samples) == 0:
        raise NoAudio(f"{audio} is empty", "nothing of it is left", "give another file, or mend its offset")
    said += track.remarks
    if silent := media.silence(track.samples):
        said.append(f"{audio.name}: {silent}")
    return dub


def _used(clip: Clip) -> float:
    """Length of the part of a clip that is used, s."""
    end = media.probe(clip.video, picture_fps=clip.fps).duration_s
    return max(0.0, (end if clip.end_s is None else min(clip.end_s, end)) - clip.start_s)
