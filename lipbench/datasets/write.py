"""Manifests back to YAML text."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from lipbench.core.atomic import write_text
from lipbench.core.errors import UsageError
from lipbench.datasets.types import Clip, Dub, Licence, Manifest


def save_manifest(manifest: Manifest, path: str | Path, root: str | None = None) -> Path:
    """Write a manifest; media paths come out relative to its root. Returns the path.

    Args:
        root: what to write as `root:`, e.g. "${MY_DATA}"; the way from the file to `manifest.root` when left out.

    Raises:
        UsageError: a file of the manifest lies outside its root.
    """
    path = Path(path)
    write_text(path, manifest_text(manifest, root or os.path.relpath(manifest.root, path.resolve().parent)))
    return path


def manifest_text(manifest: Manifest, root: str = ".") -> str:
    """A manifest as YAML text; `load_manifest` of it gives an equal manifest."""
    try:
        data: dict[str, Any] = {
            "schema": manifest.schema,
            "name": manifest.name,
            "version": manifest.version,
            "licence": licence_data(manifest.licence),
            "root": root,
            "superseded_by": manifest.superseded_by,
            "clips": [clip_data(clip, manifest) for clip in manifest.clips],
            "dubs": [dub_data(dub, manifest) for dub in manifest.dubs],
            "splits": {name: list(ids) for name, ids in manifest.splits.items()},
        }
    except ValueError as error:
        raise UsageError("cannot write the manifest", str(error), "move the file below the manifest's root") from error
    empty: tuple[Any, ...] = (None, [], {})
    data = {name: value for name, value in data.items() if value not in empty and (name, value) != ("root", ".")}
    return to_yaml(data)


class _Dumper(yaml.SafeDumper):
    """Texts with line breaks of any kind are escaped: PyYAML folds U+0085 and its like away otherwise."""

    def represent_str(self, text: str) -> yaml.ScalarNode:
        breaks = any(c in "\n\r\x85\u2028\u2029" for c in text)
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if breaks else None)


_Dumper.add_representer(str, _Dumper.represent_str)


def to_yaml(data: Any) -> str:
    """YAML text of plain data, fields in their order."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def licence_data(value: Licence) -> str | dict[str, str]:
    fields = {"id": value.id, "url": value.url, "checked": value.checked, "by": value.by}
    return value.id if not (value.url or value.checked or value.by) else {k: v for k, v in fields.items() if v}


def clip_data(clip: Clip, manifest: Manifest) -> dict[str, Any]:
    """A clip's entry; the licence is left out where it is the manifest's."""

    def name(path: Path | None) -> str | None:
        return None if path is None else path.relative_to(manifest.root).as_posix()

    truth: dict[str, Any] = {}
    for tag, path in clip.truth.items():
        more = {"sha256": clip.truth_sha256.get(tag), "annotations": name(clip.truth_annotations.get(tag))}
        more = {k: v for k, v in more.items() if v is not None}
        truth[tag] = {"video": name(path), **more} if more else name(path)
    data = {
        "id": clip.id,
        "video": name(clip.video),
        "sha256": clip.sha256,
        "fps": clip.fps,
        "start_s": clip.start_s or None,
        "end_s": clip.end_s,
        "segments": [list(segment) for segment in clip.segments] or None,
        "stream": clip.stream,
        "channel": clip.channel,
        "speaker": clip.speaker,
        "language": clip.language,
        "licence": None if clip.licence == manifest.licence else licence_data(clip.licence),
        "consent": clip.consent,
        "source_url": clip.source_url or None,
        "landmarks": name(clip.landmarks),
        "annotations": name(clip.annotations),
        "truth": truth or None,
        "face": clip.face,
        "av_offset": clip.av_offset,
    }
    return {k: v for k, v in data.items() if v is not None}


def dub_data(dub: Dub, manifest: Manifest) -> dict[str, Any]:
    """A dub's entry."""
    data = {
        "id": dub.id,
        "clip": dub.clip_id,
        "language": dub.language,
        "kind": dub.kind,
        "audio": None if dub.audio is None else dub.audio.relative_to(manifest.root).as_posix(),
        "sha256": None if dub.audio is None else dub.sha256,
        "offset_s": dub.offset_s or None,
        "start_s": dub.start_s,
        "end_s": dub.end_s,
        "rate": None if dub.rate == 1 else dub.rate,
        "stream": dub.stream,
        "channel": dub.channel,
        "transcript": dub.transcript,
        "phonemes": None if dub.phonemes is None else dub.phonemes.relative_to(manifest.root).as_posix(),
        "aligned": None if dub.aligned is None else {k: v for k, v in asdict(dub.aligned).items() if v is not None},
    }
    return {k: v for k, v in data.items() if v is not None}
