"""Add a clip and its dubs to a manifest: probe, hash, write the entries; the media stay where they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic_core import PydanticCustomError

from lipbench import media
from lipbench.core import keys, yaml
from lipbench.core.atomic import write_text
from lipbench.core.document import invalid
from lipbench.core.errors import MediaError, NoAudio, UsageError, disk_full
from lipbench.datasets.append import append_entries
from lipbench.datasets.dub_sound import DubSound
from lipbench.datasets.manifest import HINT, from_document, load_manifest
from lipbench.datasets.model import language_tag
from lipbench.datasets.phonemes import read_phonemes
from lipbench.datasets.types import Aligned, Clip, Dub, DubKind, Licence, Manifest
from lipbench.datasets.write import clip_data, dub_data, licence_data, to_yaml
from lipbench.media.image_series import is_pattern, is_series
from lipbench.media.streams import sound_of, split_stream


@dataclass(frozen=True)
class AddResult:
    """What `add_clip` did: the manifest afterwards, the clip's id, whether the clip is new, ids of the new dubs.

    `warnings` is what the user should know of their sounds.
    """

    manifest: Manifest
    clip_id: str
    new_clip: bool
    dub_ids: tuple[str, ...]
    warnings: tuple[str, ...] = ()


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


def known_clip(manifest: Manifest | None, video: Path, clip_id: str | None) -> Clip | None:
    """The clip of the manifest that this video and id (None: made of the name) stand for already."""
    if manifest is None:
        return None
    wanted = clip_id or default_id(video)
    return next((clip for clip in manifest.clips if clip.id == wanted), None)


def add_clip(
    path: Path,
    video: Path,
    dubs: Mapping[str, Path | NewDub],
    *,
    clip_id: str | None = None,
    speaker: str | None = None,
    language: str | None = None,
    licence: Licence | None = None,
    consent: str = "",
    source_url: str = "",
    kind: DubKind = "recorded",
    copy: bool = False,
    start_s: float = 0.0,
    end_s: float | None = None,
    segments: tuple[tuple[float, float], ...] = (),
    fps: float | None = None,
    channel: str | None = None,
    known_is_fine: bool = False,
) -> AddResult:
    """Add a video and its dubs to the manifest at `path`, which is made when it is not there.

    A clip that the manifest has already (same id, same content) only gets the new dubs. The text of the file is kept:
    the entries are put at the end of their lists.

    Args:
        video: a file, or FILE:a:N for one of its sounds; a folder of numbered pictures or a pattern of them.
        dubs: language -> audio file, or more about it.
        licence: of the clip; the manifest's when left out (required for a new manifest).
        consent: as `licence`.
        copy: copy files that lie outside the manifest's root into it.
        start_s: where the part that is used begins, of the video and of dubs that say nothing else.
        end_s: where it ends.
        segments: the parts of the video that are used instead, (start, end) in seconds.
        fps: rate of pictures; of a video file, what the manifest is to say.
        channel: the one channel of the clip's own sound that is used.
        known_is_fine: dubs that are there already are passed over, as is a clip without new ones.

    Raises:
        UsageError: something needed is not given, a file lies outside root, or the id is taken by another video.
        MediaError, NoAudio: a file that cannot be used, or whose stream is not clear.
        ManifestError: the manifest that is there is wrong; it is not touched.
    """
    manifest = load_manifest(path) if path.exists() else None
    wants = {_tag(tag): dub if isinstance(dub, NewDub) else NewDub(dub) for tag, dub in dubs.items()}
    video, own = sound_of(video, media.SoundChoice(channel=channel))
    for file in (video, *(split_stream(dub.audio)[0] for dub in wants.values())):
        if not (media.present(file) if file == video else file.is_file()):
            raise MediaError(f"{file}: there is no such file", "", "check the path")
    digest = media.digest(video)
    known = known_clip(manifest, video, clip_id)
    if known is not None and known.sha256 != digest:
        raise UsageError(
            f"{path} has a clip {known.id!r} already", "its video is another file", "give the new clip its own --id"
        )
    part = (start_s, end_s, segments)
    if known is not None and part not in ((0.0, None, ()), (known.start_s, known.end_s, known.segments)):
        raise UsageError(
            f"{path} has a clip {known.id!r} already",
            "another part of its video is used",
            "give the new part its own --id",
        )
    if manifest is None:
        if licence is None:
            raise UsageError(f"{path} is new and needs a licence", "", "give --licence, e.g. --licence CC-BY-4.0")
        text = to_yaml({"schema": 1, "name": default_id(path), "version": "1", "licence": licence_data(licence)})
        manifest = Manifest(default_id(path), "1", licence, (), (), path.resolve().parent)
    else:
        text = path.read_bytes().decode("utf-8-sig")
        consent = consent or str(yaml.parse(text, str(path)).data.get("consent") or "")
    root = manifest.root
    if known is None:
        clip = _new_clip(manifest, video, digest, clip_id, speaker, language, licence, consent, source_url, fps)
        clip = replace(clip, start_s=start_s, end_s=end_s, stream=own.stream, channel=own.channel, segments=segments)
        _check_span(clip)
    else:
        clip = known
    copies: dict[Path, Path] = {}
    seen = clip
    if known is None:
        clip = replace(clip, video=_place(video, root, copy, copies))
    new_dubs = []
    said = list(_own_sound(seen)) if known is None else []
    for tag, want in wants.items():
        dub_id = f"{clip.id}@{tag}"
        if any(dub.id == dub_id for dub in manifest.dubs):
            if known_is_fine:
                continue
            raise UsageError(f"{path} has a dub {dub_id!r} already", "", "delete its entry first")
        dub = _new_dub(want, seen, dub_id, tag, kind, said)
        assert dub.audio is not None
        notes = None if dub.phonemes is None else _place(dub.phonemes, root, copy, copies)
        new_dubs.append(replace(dub, audio=_place(dub.audio, root, copy, copies), phonemes=notes))
    if known is not None and not new_dubs and known_is_fine:
        return AddResult(manifest, clip.id, False, ())
    if known is not None and not new_dubs:
        raise UsageError(f"{path} has the clip {clip.id!r} already", "nothing to add", "give --dub LANG=FILE")
    wanted = replace(
        manifest, clips=manifest.clips if known else (*manifest.clips, clip), dubs=(*manifest.dubs, *new_dubs)
    )
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    if known is None:
        text = append_entries(text, "clips", [clip_data(clip, manifest)])
    text = append_entries(text, "dubs", [dub_data(dub, manifest) for dub in new_dubs])
    _agree(text, path, wanted)
    for source, target in copies.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        except OSError as error:
            raise disk_full(error, target) from error
    write_text(path, text.replace("\n", newline))
    return AddResult(wanted, clip.id, known is None, tuple(dub.id for dub in new_dubs), tuple(said))


def _tag(text: str) -> str:
    try:
        return language_tag(text)
    except PydanticCustomError as error:
        context = error.context or {}
        raise UsageError(f"{text!r}: {context['what']}", "", context["hint"]) from None


def _new_clip(
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
        _tag(language),
        licence or manifest.licence,
        consent,
        fps=fps or round(float(info.fps), 3),
        source_url=source_url,
    )


def _check_span(clip: Clip) -> None:
    if clip.start_s < 0 or (clip.end_s is not None and clip.end_s <= clip.start_s):
        raise UsageError(f"cannot use {clip.start_s} s to {clip.end_s} s", "", "mend --start and --end")
    length = media.probe(clip.video, picture_fps=clip.fps).duration_s
    if clip.start_s >= length:
        raise UsageError(f"--start {clip.start_s:g} lies after the end of {clip.video}", f"it ends at {length:.2f} s")


def _own_sound(clip: Clip) -> Iterator[str]:
    """What the user should know of a clip's own sound."""
    choice = media.SoundChoice(clip.stream, clip.channel, clip.language)
    try:
        track = media.load_audio(clip.video, start_s=clip.start_s, end_s=clip.end_s, choice=choice)
    except NoAudio:
        return
    yield from track.remarks
    if silent := media.silence(track.samples):
        yield f"{clip.video.name}: {silent}"


def _new_dub(want: NewDub, clip: Clip, dub_id: str, tag: str, kind: DubKind, said: list[str]) -> Dub:
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


def _place(source: Path, root: Path, copy: bool, copies: dict[Path, Path]) -> Path:
    """Where a file is called in the manifest; notes a copy to be made when it lies outside root."""
    real = source.resolve()
    if real.is_relative_to(root):
        return real
    if not copy:
        raise UsageError(
            f"{source} lies outside the manifest's root",
            f"root is {root}",
            "add --copy to copy it there, or set `root:` in the manifest",
        )
    if is_series(source):
        raise UsageError(f"{source} lies outside the manifest's root", "--copy copies files only", "copy the pictures")
    target = root / source.name
    if target in copies.values() and copies.get(real) != target:
        raise UsageError(f"two files are called {source.name}", "copies would overwrite each other", "rename one")
    if target.exists() and keys.sha256_file(target) != keys.sha256_file(real):
        raise UsageError(f"{target} is there already", "its content differs", f"rename {source.name}")
    copies[real] = target
    return target


def _agree(text: str, path: Path, wanted: Manifest) -> None:
    """Refuse to write a text that does not say what it should."""
    document = yaml.parse(text, str(path))
    found, _, problems = from_document(document, path.resolve().parent)
    if problems:
        raise invalid(problems, HINT)
    if found != wanted:
        raise UsageError(
            f"cannot add to {path} without rewriting it", "its layout is unusual", "add the entries by hand"
        )
