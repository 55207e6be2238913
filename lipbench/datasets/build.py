"""From a validated manifest file to frozen types, with the checks that need the whole file or the disk.

Duplicates, references between entries, and paths: every media path must stay inside `root`, symbolic links resolved.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
from pathlib import Path
from typing import Any

from lipbench.core.document import Document, Location, Problem
from lipbench.datasets.model import ClipEntry, DubEntry, LicenceEntry, ManifestFile
from lipbench.datasets.types import Clip, Dub, Licence, Manifest


class ManifestBuilder:
    """Builds one manifest; what is wrong collects in `problems`, and with any the manifest must not be used."""

    def __init__(self, document: Document, model: ManifestFile, folder: Path) -> None:
        self.document, self.model = document, model
        self.problems: list[Problem] = []
        self.root = self._root(model.root, folder)

    def problem(self, location: Location, message: str, found: Any = None, hint: str = "") -> None:
        self.problems.append(self.document.problem(location, message, found, hint))

    def _root(self, text: str, folder: Path) -> Path:
        def variable(match: re.Match[str]) -> str:
            name = match[1]
            if not os.environ.get(name):
                self.problem(
                    ("root",),
                    f"the environment variable {name} is not set",
                    text,
                    f"export {name}=/folder/of/the/media",
                )
            return os.environ.get(name, "")

        expanded = re.sub(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", variable, text)
        if "$" in expanded and not self.problems:
            self.problem(("root",), "a $ that is no variable", text, "write ${NAME} for an environment variable")
        return (folder / Path(expanded).expanduser()).resolve()

    def path(self, text: str | None, *location: str | int) -> Path | None:
        """An absolute path inside root; a symlink or `..` that leads out of it is a problem."""
        if text is None:
            return None
        plain = self.root / text
        try:
            real = plain.resolve()
            _refuse_loop(plain)
        except (OSError, RuntimeError) as error:
            self.problem(location, f"cannot be resolved: {error}", text, "check the symbolic links")
            return plain
        if not real.is_relative_to(self.root):
            via = "" if ".." in Path(text).parts else f" through a symbolic link, to {real}"
            self.problem(location, f"leads out of root{via}", text, f"keep the file inside {self.root} or set `root:`")
        return real if ".." in plain.parts else plain

    def build(self) -> Manifest:
        model = self.model
        clips = tuple(self._clip(i, entry) for i, entry in enumerate(model.clips))
        by_id = {clip.id: clip for clip in clips}
        self._unique("clips", [clip.id for clip in clips])
        dubs = tuple(self._dub(i, entry, by_id) for i, entry in enumerate(model.dubs))
        self._unique("dubs", [dub.id for dub in dubs])
        if not self.problems:  # a dub with a wrong clip would look like a truth without a dub
            self._truths(clips, dubs)
        for name, ids in model.splits.items():
            for j, clip_id in enumerate(ids):
                self._reference(clip_id, by_id, "splits", name, j)
                if clip_id in ids[:j]:
                    self.problem(("splits", name, j), "is in this split already", clip_id, "delete one of them")
        return Manifest(
            model.name,
            model.version,
            licence(model.licence),
            clips,
            dubs,
            self.root,
            dict(model.splits),
            model.superseded_by,
        )

    def _clip(self, i: int, entry: ClipEntry) -> Clip:
        from lipbench.media.image_series import is_series

        at: Location = ("clips", i)
        if not (consent := entry.consent or self.model.consent):
            self.problem(
                (*at, "consent"),
                "is missing, and the manifest names none",
                None,
                "say on what grounds this face may be altered, e.g. `consent: written, on file`",
            )
        video = self.path(entry.video, *at, "video")
        assert video is not None
        if entry.fps is None and is_series(video):
            self.problem((*at, "fps"), "is missing: pictures state no rate", None, "write it, such as fps: 25")
        truth = {tag: self.path(t.video, *at, "truth", tag) for tag, t in entry.truth.items()}
        notes = {tag: self.path(t.annotations, *at, "truth", tag, "annotations") for tag, t in entry.truth.items()}
        return Clip(
            entry.id,
            video,
            entry.sha256,
            entry.speaker,
            entry.language,
            licence(entry.licence or self.model.licence),
            consent,
            entry.fps,
            entry.start_s,
            entry.end_s,
            entry.source_url,
            self.path(entry.landmarks, *at, "landmarks"),
            self.path(entry.annotations, *at, "annotations"),
            {tag: path for tag, path in truth.items() if path is not None},
            {tag: t.sha256 for tag, t in entry.truth.items() if t.sha256 is not None},
            {tag: path for tag, path in notes.items() if path is not None},
            entry.stream,
            entry.channel,
            entry.face,
            entry.segments,
            entry.av_offset,
        )

    def _dub(self, i: int, entry: DubEntry, clips: dict[str, Clip]) -> Dub:
        at: Location = ("dubs", i)
        self._reference(entry.clip, clips, *at, "clip")
        clip = clips.get(entry.clip)
        if entry.kind == "original" and clip is not None and entry.language != clip.language:
            self.problem(
                (*at, "language"),
                f"the original of a clip in {clip.language} cannot be in another language",
                entry.language,
                f"write {clip.language}, or another kind",
            )
        if clip is not None and clip.segments and entry.end_s is not None:
            self.problem(
                (*at, "end_s"), "its clip has segments, which say where a dub ends", entry.end_s, "delete end_s"
            )
        return Dub(
            entry.id or f"{entry.clip}@{entry.language}",
            entry.clip,
            entry.language,
            entry.kind,
            self.path(entry.audio, *at, "audio"),
            entry.sha256 or (clip.sha256 if clip else ""),
            entry.offset_s,
            entry.transcript,
            self.path(entry.phonemes, *at, "phonemes"),
            entry.stream,
            entry.channel,
            entry.start_s,
            entry.end_s,
            entry.rate,
            None if entry.aligned is None else entry.aligned.value(),
        )

    def _unique(self, what: str, ids: list[str]) -> None:
        seen: dict[str, int] = {}
        for i, name in enumerate(ids):
            if name in seen:
                first = self.document.line((what, seen[name]))
                self.problem((what, i, "id"), f"{name!r} is taken, first in line {first}", None, "give it another id")
            seen.setdefault(name, i)

    def _reference(self, clip_id: str, clips: dict[str, Clip], *location: str | int) -> None:
        if clip_id not in clips:
            near = difflib.get_close_matches(clip_id, clips, n=1)
            hint = f"did you mean {near[0]}?" if near else f"clips: {', '.join(list(clips)[:20])}"
            self.problem(location, "there is no such clip", clip_id, hint)

    def _truths(self, clips: tuple[Clip, ...], dubs: tuple[Dub, ...]) -> None:
        for i, clip in enumerate(clips):
            languages = [dub.language for dub in dubs if dub.clip_id == clip.id]
            for tag in clip.truth:
                at: Location = ("clips", i, "truth", tag)
                if tag != clip.language and tag not in languages:
                    self.problem(at, f"the clip has no dub in {tag}", None, "add the dub or delete the truth")
                elif languages.count(tag) > 1:
                    self.problem(
                        at,
                        f"{languages.count(tag)} dubs of this clip are in {tag}",
                        None,
                        "a truth belongs to one dub: keep one of them, or drop the truth",
                    )


def licence(entry: LicenceEntry) -> Licence:
    return Licence(entry.id, entry.url, entry.checked, entry.by)


def _refuse_loop(path: Path) -> None:
    """Raise OSError for links that lead back to themselves, which `Path.resolve` passes over from Python 3.13 on."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise
