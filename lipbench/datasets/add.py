"""Add a clip and its dubs to a manifest: probe, hash, write the entries; the media stay where they are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lipbench import media
from lipbench.core import keys, yaml
from lipbench.core.atomic import write_text
from lipbench.core.document import invalid
from lipbench.core.errors import MediaError, UsageError, disk_full
from lipbench.datasets.append import append_entries
from lipbench.datasets.manifest import HINT, from_document, load_manifest
from lipbench.datasets.new_entries import NewDub, check_span, default_id, new_clip, new_dub, own_sound, tag_of
from lipbench.datasets.types import Clip, DubKind, Licence, Manifest
from lipbench.datasets.write import clip_data, dub_data, licence_data, to_yaml
from lipbench.media.image_series import is_series
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
    wants = {tag_of(tag): dub if isinstance(dub, NewDub) else NewDub(dub) for tag, dub in dubs.items()}
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
        clip = new_clip(manifest, video, digest, clip_id, speaker, language, licence, consent, source_url, fps)
        clip = replace(clip, start_s=start_s, end_s=end_s, stream=own.stream, channel=own.channel, segments=segments)
        check_span(clip)
    else:
        clip = known
    copies: dict[Path, Path] = {}
    seen = clip
    if known is None:
        clip = replace(clip, video=_place(video, root, copy, copies))
    new_dubs = []
    said = list(own_sound(seen)) if known is None else []
    for tag, want in wants.items():
        dub_id = f"{clip.id}@{tag}"
        if any(dub.id == dub_id for dub in manifest.dubs):
            if known_is_fine:
                continue
            raise UsageError(f"{path} has a dub {dub_id!r} already", "", "delete its entry first")
        dub = new_dub(want, seen, dub_id, tag, kind, said)
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
