"""What `lipbench data add` is given, one entry for each clip: a video, a folder of videos, or a CSV list."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.errors import LipbenchError, MediaError, UsageError
from lipbench.datasets.new_entries import NewDub
from lipbench.media.streams import split_stream

#: Endings of the files of a folder that count as videos.
VIDEOS = frozenset(".avi .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ts .webm .wmv .y4m".split())  # noqa: SIM905

#: Columns of a CSV list that are about the clip, beside `video`.
CLIP_COLUMNS = ("id", "speaker", "language", "licence", "licence_url", "consent", "source_url")
CLIP_NUMBERS = ("start", "end", "fps")
DUB_COLUMNS = ("dub", "dub_language", "kind", "transcript", "phonemes")
DUB_NUMBERS = ("offset", "dub_start", "dub_end", "rate")
COLUMNS = ("video", *CLIP_COLUMNS, *CLIP_NUMBERS, "channel", *DUB_COLUMNS, *DUB_NUMBERS)


@dataclass(frozen=True)
class Entry:
    """A clip to be added and its dubs; fields that are None or "" are those of the command.

    Attributes:
        where: file and line, for messages; "" for what the command line names.
    """

    video: Path
    id: str | None = None
    speaker: str | None = None
    language: str | None = None
    licence: str | None = None
    licence_url: str = ""
    consent: str = ""
    source_url: str = ""
    start: float | None = None
    end: float | None = None
    segments: tuple[tuple[float, float], ...] = ()
    fps: float | None = None
    channel: str | None = None
    kind: str | None = None
    dubs: Mapping[str, NewDub] = field(default_factory=dict)
    where: str = ""

    def over(self, base: Entry) -> Entry:
        """This entry with the fields that it does not say taken from another."""
        names = [f.name for f in fields(self) if f.name not in ("video", "dubs", "where")]
        return replace(self, **{name: getattr(self, name) or getattr(base, name) for name in names})


def entries(video: Path, dubs: Mapping[str, NewDub]) -> list[Entry]:
    """The clips that a path stands for.

    Args:
        video: a video, a folder of videos, a series of pictures, or a list with the ending .csv.
        dubs: language -> file; beside a folder of videos a folder, in which the file has the video's name. So has the
            file of phonemes, and that of a transcript (.txt) where the transcript names a folder.

    Raises:
        UsageError: nothing is there to add, a list has a wrong line, or dubs are given beside one.
        MediaError: a dub of a folder is not there.
    """
    if video.suffix.lower() == ".csv":
        if dubs:
            raise UsageError("dubs are given beside a list", "", "write them in its columns dub and dub_language")
        return _of_list(video)
    videos = sorted(f for f in video.iterdir() if f.suffix.lower() in VIDEOS) if video.is_dir() else []
    if not videos:
        return [Entry(video, dubs=dubs)]
    found = [Entry(file, dubs={tag: _beside(dub, file) for tag, dub in dubs.items()}) for file in videos]
    stems = [file.stem for file in videos]
    if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
        raise UsageError(f"two videos of {video} are called {twice}", "", "rename one, or add them one by one")
    return found


def _beside(dub: NewDub, video: Path) -> NewDub:
    """The dub with its folders replaced by the files in them that are called as the video."""
    text = None if dub.transcript is None else Path(dub.transcript)
    if text is not None and text.is_dir():
        try:
            written = _called(text, video).read_text(encoding="utf-8-sig").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise MediaError(f"cannot read a transcript in {text}", str(error), "write it as UTF-8") from error
    else:
        written = dub.transcript or ""
    phonemes = dub.phonemes
    if phonemes is not None and phonemes.is_dir():
        phonemes = _called(phonemes, video)
    audio = _called(dub.audio, video) if dub.audio.is_dir() else dub.audio
    return replace(dub, audio=audio, transcript=written or None, phonemes=phonemes)


def _called(folder: Path, video: Path) -> Path:
    found = sorted(file for file in folder.iterdir() if file.is_file() and file.stem == video.stem)
    if len(found) != 1:
        raise MediaError(
            f"{folder} holds {len(found) or 'no'} files called {video.stem}",
            f"one for {video.name} is needed",
            f"put it there, such as {folder / video.stem}.wav",
        )
    return found[0]


def _of_list(path: Path) -> list[Entry]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            sample = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the list {path}", str(error), "write it as UTF-8") from error
    delimiter = max(",;\t", key=sample.partition("\n")[0].count)
    rows = csv.DictReader(sample.splitlines(), delimiter=delimiter, strict=True)
    names = [name.strip() for name in rows.fieldnames or ()]
    for name in names:
        if name not in COLUMNS:
            near = difflib.get_close_matches(name, COLUMNS, n=1)
            hint = f"did you mean {near[0]}?" if near else f"columns: {', '.join(COLUMNS)}"
            raise UsageError(f"{path}:1: there is no column {name!r}", "", hint)
    if "video" not in names:
        raise UsageError(f"{path}:1: the column video is missing", "the first line names the columns", "add it")
    found: dict[tuple[str, str], Entry] = {}
    try:
        for row in rows:
            where = f"{path}:{rows.line_num}"
            if None in row or None in row.values():
                raise UsageError(f"{where}: {len(names)} columns are needed", "", "quote texts that hold commas")
            entry = _entry({name.strip(): value.strip() for name, value in row.items()}, path.parent, where)
            same = (str(entry.video), entry.id or "")
            if same in found:
                if twice := set(entry.dubs) & set(found[same].dubs):
                    raise UsageError(f"{where}: a second dub in {twice.pop()} of one clip", "", "delete one of them")
                entry = replace(found[same], dubs={**found[same].dubs, **entry.dubs})
            found[same] = entry
    except csv.Error as error:
        raise UsageError(f"{path}:{rows.line_num}: {error}", "", "mend the quotes") from error
    if not found:
        raise UsageError(f"{path} lists nothing", "", "write a line for each clip, or for each dub of one")
    return list(found.values())


def _entry(row: Mapping[str, str], folder: Path, where: str) -> Entry:
    if not row["video"]:
        raise UsageError(f"{where}: names no video", "", "fill the column video")
    numbers = {name: _number(row.get(name, ""), name, where) for name in (*CLIP_NUMBERS, *DUB_NUMBERS)}
    given: dict[str, Any] = {name: row[name] for name in (*CLIP_COLUMNS, "kind", "channel") if row.get(name)}
    said: dict[str, Any] = {name: value for name in CLIP_NUMBERS if (value := numbers[name]) is not None}
    dubs = {}
    if row.get("dub"):
        if not row.get("dub_language"):
            raise UsageError(f"{where}: which language is the dub in?", "", "fill the column dub_language")
        about = {"offset_s": "offset", "start_s": "dub_start", "end_s": "dub_end", "rate": "rate"}
        known: dict[str, Any] = {name: numbers[column] for name, column in about.items() if numbers[column] is not None}
        notes = _file(row["phonemes"], folder) if row.get("phonemes") else None
        text = row.get("transcript") or None
        dub = NewDub(_file(row["dub"], folder), transcript=text, phonemes=notes, channel=row.get("channel") or None)
        dubs = {row["dub_language"]: replace(dub, **known)}
    return Entry(_file(row["video"], folder), dubs=dubs, where=where, **given, **said)


def _file(text: str, folder: Path) -> Path:
    return folder / text


def _number(text: str, name: str, where: str) -> float | None:
    if not text:
        return None
    parts = text.split("/") if name == "rate" else [text]
    try:
        values = [float(part) for part in parts]
        value = values[0] / (values[1] if len(values) == 2 else 1)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"{where}: {name} {text!r} is no number", "", "write it as 1.5") from error
    if not abs(value) < 1e9:
        raise UsageError(f"{where}: {name} {text!r} is no number of use", "", "write it as 1.5")
    return value


def missing(found: list[Entry]) -> Iterator[str]:
    """Files that entries name and that are not there, with where they are named."""
    for entry in found:
        named = [("video", entry.video), *(("dub", dub.audio) for dub in entry.dubs.values())]
        named += [("phonemes", dub.phonemes) for dub in entry.dubs.values() if dub.phonemes is not None]
        for what, path in named:
            file = split_stream(path)[0]
            if not (media.present(file) if what == "video" else file.is_file()):
                yield f"{entry.where}: {what} {file}" if entry.where else f"{what} {file}"


def at(entry: Entry, error: LipbenchError) -> LipbenchError:
    """An error about one of several entries, with where it stands in the list, or which video it is."""
    error.what = f"{entry.where or entry.video}: {error.what}"
    return error
