"""What stands behind `lipbench data add`: the options of dubs, questions, clips added one by one, their own offsets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.errors import LipbenchError, MediaError, UsageError

if TYPE_CHECKING:
    from lipbench.datasets.add import AddResult
    from lipbench.datasets.lists import Entry
    from lipbench.datasets.new_entries import NewDub
    from lipbench.datasets.types import Manifest
    from lipbench.engine.own_offsets import ClipOffset

#: A clip's own offset is constant: so much of it tells.
OFFSET_SECONDS = 60.0
FACES = "mediapipe-face"


def new_dubs(files: Sequence[str], channel: str | None, about: dict[str, tuple[str, ...]]) -> dict[str, NewDub]:
    """The dubs of the command line.

    Args:
        files: LANG=FILE.
        channel: for all of them.
        about: field of `NewDub` -> values, each LANG=VALUE or, where there is one dub, VALUE.

    Raises:
        UsageError: an option of another form, or for a language without a dub.
    """
    from lipbench.datasets.new_entries import NewDub

    dubs: dict[str, NewDub] = {}
    for text in files:
        language, sign, file = text.partition("=")
        if not (language and sign and file):
            raise UsageError(f"--dub {text}: not LANG=FILE", "", "write for example --dub fr=french.wav")
        if language in dubs:
            raise UsageError(f"--dub {language} is given twice", "", "add the second one in another call")
        dubs[language] = NewDub(Path(file), channel=channel)
    for name, values in about.items():
        option, convert = OPTIONS[name]
        for text in values:
            language, sign, value = text.partition("=")
            if not (sign and language in dubs):
                if len(dubs) != 1:
                    raise UsageError(f"{option} {text}: for which dub?", "", f"write {option} LANG=VALUE")
                language, value = next(iter(dubs)), text
            try:
                dubs[language] = replace(dubs[language], **{name: convert(value)})
            except ValueError as error:
                raise UsageError(f"{option} {text}: {value!r} is no number", "", f"write {option} 1.5") from error
    return dubs


def _rate(text: str) -> float:
    above, _, below = text.partition("/")
    value = float(above) / float(below or 1) if float(below or 1) else 0.0
    if not 0.5 <= value <= 2:
        raise UsageError(f"--rate {text} is no speed", "it must lie in 0.5 to 2", "write it as 1.04 or 25/24")
    return value


#: Fields of `NewDub` -> the option that sets them and what turns its text into a value.
OPTIONS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "offset_s": ("--offset", float),
    "transcript": ("--transcript", str),
    "phonemes": ("--phonemes", Path),
    "start_s": ("--dub-start", float),
    "end_s": ("--dub-end", float),
    "rate": ("--rate", _rate),
}


def add_all(path: Path, wanted: Sequence[Entry], base: Entry, copy: bool, asks: bool) -> list[AddResult]:
    """Add entries to the manifest at `path`; files that are not there are told before the first is added.

    What several entries added before one failed stays: the same call goes on from there.

    Args:
        base: what the command line says, for what an entry leaves open.
        asks: whether the user can be asked for what is missing.
    """
    from lipbench.datasets.lists import at, missing

    if absent := list(missing(list(wanted))):
        more = f" and {len(absent) - 1} more files" if len(absent) > 1 else ""
        raise MediaError(f"there is no {absent[0]}{more}", "; ".join(absent[1:6]), "check the paths")
    done: list[AddResult] = []
    several = len(wanted) > 1 or bool(wanted[0].where)
    for entry in wanted:
        try:
            done.append(_add(path, entry.over(base), copy, asks, several))
        except LipbenchError as error:
            raise (at(entry, error) if several else error) from None
    return done


def measure_offsets(path: Path, clips: Sequence[str], wanted: bool | None) -> dict[str, ClipOffset]:
    """Measure new clips' own offsets and write those that are found into the manifest at `path`.

    Args:
        clips: their ids.
        wanted: None: if the weights that it takes are here, else it is said that they are not.

    Raises:
        WeightsMissing: it is wanted, and the weights are not here.
    """
    from lipbench.core import weights
    from lipbench.datasets.manifest import load_manifest

    if wanted is False or not clips:
        return {}
    if wanted is None and not weights.available(FACES):
        click.echo(
            f"own offset not measured: the weights {FACES} are not here; `lipbench weights get {FACES}`, then "
            f"`lipbench data offsets {path} --write`",
            err=True,
        )
        return {}
    from lipbench.engine.own_offsets import clip_offset, write_offsets

    weights.path(FACES)
    found = {}
    for clip in load_manifest(path).clips:
        if clip.id in clips and clip.av_offset is None:
            end = clip.start_s + OFFSET_SECONDS
            part = clip if clip.segments or (clip.end_s or end) < end else replace(clip, end_s=end)
            found[clip.id] = clip_offset(part, faces=FACES)
    new = {name: one.found.frames for name, one in found.items() if one.found.frames is not None}
    if new:
        write_offsets(path, new)
    return found


def _add(path: Path, entry: Entry, copy: bool, asks: bool, several: bool) -> AddResult:
    from lipbench.datasets.add import add_clip, known_clip
    from lipbench.datasets.licences import licence_of
    from lipbench.datasets.manifest import load_manifest

    present = load_manifest(path) if path.exists() else None
    if asks and known_clip(present, entry.video, entry.id) is None:
        entry = _asked(entry, path, present)
    return add_clip(
        path,
        entry.video,
        entry.dubs,
        clip_id=entry.id,
        speaker=entry.speaker,
        language=entry.language,
        licence=None if entry.licence is None else licence_of(entry.licence, entry.licence_url),
        consent=entry.consent,
        source_url=entry.source_url,
        kind=_kind(entry.kind),
        copy=copy,
        start_s=entry.start or 0.0,
        end_s=entry.end,
        segments=entry.segments,
        fps=entry.fps,
        channel=entry.channel,
        known_is_fine=several,
    )


def _asked(entry: Entry, path: Path, present: Manifest | None) -> Entry:
    """The entry with what the user answers."""
    from lipbench.core.yaml import read

    language, licence, url, consent = entry.language, entry.licence, entry.licence_url, entry.consent
    if language is None:
        language = click.prompt("Language of the original speech (BCP-47, e.g. en)")
    if licence is None and present is None:
        licence, url = _ask_licence(url)
    if not consent and not (present and read(path).data.get("consent")):
        consent = click.prompt("On what grounds may this face be altered? (e.g. written, on file)")
    return replace(entry, language=language, licence=licence, licence_url=url, consent=consent)


def _kind(text: str | None) -> Any:
    kinds = ("recorded", "tts", "synthetic")
    if text not in (None, *kinds):
        raise UsageError(f"{text!r} is no kind of dub", f"it is one of {', '.join(kinds)}", "mend the column kind")
    return text or "recorded"


def _ask_licence(url: str) -> tuple[str, str]:
    from lipbench.datasets.licences import LICENCES, NEED_URL

    licence = click.prompt("Licence of the footage", type=click.Choice(list(LICENCES)))
    if licence in NEED_URL and not url:
        url = click.prompt("Where is its text (URL)?")
    return licence, url
