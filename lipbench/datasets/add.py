"""Add a clip and its dubs to a manifest: probe, hash, write the entries; the media stay where they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic_core import PydanticCustomError

from lipbench.core import keys, yaml
from lipbench.core.atomic import write_text
from lipbench.core.document import invalid
from lipbench.core.errors import MediaError, NoAudio, UsageError, disk_full
from lipbench.datasets.append import append_entries
from lipbench.datasets.manifest import HINT, from_document, load_manifest
from lipbench.datasets.model import language_tag
from lipbench.datasets.types import Clip, Dub, DubKind, Licence, Manifest
from lipbench.datasets.write import clip_data, dub_data, licence_data, to_yaml


@dataclass(frozen=True)
class AddResult:
    """What `add_clip` did: the manifest afterwards, the clip's id, whether the clip is new, ids of the new dubs."""

    manifest: Manifest
    clip_id: str
    new_clip: bool
    dub_ids: tuple[str, ...]


def default_id(video: Path) -> str:
    """An id made of a file's name."""
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
    dubs: Mapping[str, Path],
    *,
    clip_id: str | None = None,
    speaker: str | None = None,
    language: str | None = None,
    licence: Licence | None = None,
    consent: str = "",
    source_url: str = "",
    kind: DubKind = "recorded",
    copy: bool = False,
) -> AddResult:
    """Add a video and its dubs to the manifest at `path`, which is made when it is not there.

    A clip that the manifest has already (same id, same content) only gets the new dubs. The text of the file is kept:
    the entries are put at the end of their lists.

    Args:
        dubs: language -> audio file.
        licence: of the clip; the manifest's when left out (required for a new manifest).
        consent: as `licence`.
        copy: copy files that lie outside the manifest's root into it.

    Raises:
        UsageError: something needed is not given, a file lies outside root, or the id is taken by another video.
        MediaError, NoAudio: a file that cannot be used.
        ManifestError: the manifest that is there is wrong; it is not touched.
    """
    manifest = load_manifest(path) if path.exists() else None
    for file in (video, *dubs.values()):
        if not file.is_file():
            raise MediaError(f"{file}: there is no such file", "", "check the path")
    digest, dubs = keys.sha256_file(video), {_tag(tag): audio for tag, audio in dubs.items()}
    known = known_clip(manifest, video, clip_id)
    if known is not None and known.sha256 != digest:
        raise UsageError(
            f"{path} has a clip {known.id!r} already", "its video is another file", "give the new clip its own --id"
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
        clip = _new_clip(manifest, video, digest, clip_id, speaker, language, licence, consent, source_url)
    else:
        clip = known
    copies: dict[Path, Path] = {}
    if known is None:
        clip = replace(clip, video=_place(video, root, copy, copies))
    new_dubs = []
    for tag, audio in dubs.items():
        dub_id = f"{clip.id}@{tag}"
        if any(dub.id == dub_id for dub in manifest.dubs):
            raise UsageError(f"{path} has a dub {dub_id!r} already", "", "delete its entry first")
        _needs_sound(audio)
        new_dubs.append(Dub(dub_id, clip.id, tag, kind, _place(audio, root, copy, copies), keys.sha256_file(audio)))
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
    return AddResult(wanted, clip.id, known is None, tuple(dub.id for dub in new_dubs))


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
) -> Clip:
    from lipbench import media

    if language is None:
        raise UsageError(f"which language is spoken in {video.name}?", "", "give --language, e.g. --language en")
    if not consent:
        raise UsageError(
            f"on what grounds may the face in {video.name} be altered?", "", 'give --consent, e.g. "written, on file"'
        )
    info = media.probe(video)
    name = clip_id or default_id(video)
    return Clip(
        name,
        video,
        digest,
        speaker or name,
        _tag(language),
        licence or manifest.licence,
        consent,
        fps=round(float(info.fps), 3),
        source_url=source_url,
    )


def _needs_sound(audio: Path) -> None:
    from lipbench.datasets.check import audio_seconds

    if audio_seconds(audio) == 0:
        raise NoAudio(f"{audio} is empty", "it decodes to no sound", "give another file")


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
