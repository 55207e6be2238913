"""`lipbench data shots`: from a film to its shots, its people and a contact sheet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lipbench import media
from lipbench.core.errors import MediaError, NoAudio, NoVideo
from lipbench.datasets.film.contact_sheet import write_sheet
from lipbench.datasets.film.people import EMBEDDINGS
from lipbench.datasets.film.shots import spans
from lipbench.datasets.film.shots_boundaries import boundaries
from lipbench.datasets.film.shots_faces import face_finder
from lipbench.datasets.film.shots_file import FilmShots, ShotsFile, read_shots, write_shots
from lipbench.datasets.film.shots_kept import KeptShots
from lipbench.datasets.film.shots_measure import Eyes, measure
from lipbench.datasets.film.shots_people import Rules, choose_actor, judge, people_of
from lipbench.datasets.film.shots_pictures import FrameTimes, picture_blocks
from lipbench.datasets.film.shots_speaking import Speaking, moving_mouths
from lipbench.media.image_series import is_series
from lipbench.media.streams import split_stream

#: Bytes at both ends of a film by which it is known; hashing all of it would take as long as looking at it.
KNOWN_BY = 1 << 20


@dataclass(frozen=True)
class Found:
    """What `find_shots` wrote.

    Attributes:
        file: what stands in the shots file.
        path: of the shots file.
        sheet: pages of the contact sheet.
        remarks: what a user should know.
    """

    file: ShotsFile
    path: Path
    sheet: tuple[Path, ...]
    remarks: tuple[str, ...]


def find_shots(
    film: str | Path,
    out: Path,
    sheet: Path,
    *,
    backend: str = "mediapipe-face",
    embedding: str = "colors",
    actor: str | None = None,
    sound: media.SoundChoice | None = None,
    rules: Rules | None = None,
    speaking: Speaking = moving_mouths,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Find the shots of a film, follow the faces in each, and write the shots file and the contact sheet.

    What was measured stays in a file beside `out` (NAME.measured.jsonl): a call that was interrupted goes on there, and
    another actor or other rules need no second look at the film.

    Args:
        film: a video file, or FILE:a:N for the sound of its audio stream N.
        out: the shots file. One that is there is read first: what a person decided in it stays.
        sheet: the contact sheet, .jpg or .png.
        backend: of `shots_faces.BACKENDS`.
        embedding: of `people.EMBEDDINGS`.
        actor: letter or number of a person; the one who speaks longest when None.
        sound: which sound is the original.
        rules: what a shot needs to be used.
        speaking: who speaks in a shot.
        tell: hears after each shot how many of how many are measured.

    Raises:
        MediaError, NoVideo, Truncated: the film cannot be read.
        UnknownName, UsageError: no such backend, embedding or actor.
        WeightsMissing: of the backend.
        ManifestError: `out` is there and is no shots file.
        DiskFull: no space left; what is measured stays.
    """
    rules = rules or Rules()
    path, stream = split_stream(film)
    if is_series(path):
        raise NoVideo(f"{path} is a series of pictures", "shots are looked for in a film", "give a video file")
    before = read_shots(out) if out.exists() else None
    look = EMBEDDINGS[embedding]
    choice = sound or media.SoundChoice(stream)
    kept = KeptShots(
        out.with_name(out.name.removesuffix(".yaml") + ".measured.jsonl"),
        {
            "film": _known(path),
            "faces": backend,
            "embedding": embedding,
            "sound": [choice.stream, choice.channel],
            "speaking": getattr(speaking, "__qualname__", type(speaking).__qualname__),
        },
    )
    finder, embed = face_finder(backend), look.make()  # before the film is read: cheaper to fail
    remarks, heard = _heard(path, choice)
    if kept.spans is None:
        times = FrameTimes([])
        found = boundaries(picture_blocks(path, times))
        kept.begin(spans(found, times.starts, times.end))
    assert kept.spans is not None
    eyes = Eyes(finder, embed, speaking, choice if heard else False)
    for number, span in list(kept.missing()):
        kept.keep(number, measure(path, span, eyes))
        tell(len(kept.facts), len(kept.spans))
    shots = [kept.facts[n] for n in range(len(kept.spans))]
    people, named = people_of(shots, look)
    who = choose_actor(people, actor or (before.actor if before is not None and _decided(before) else None))
    verdicts = [judge(shot, faces, who, rules) for shot, faces in zip(shots, named, strict=True)]
    whole = FilmShots(path, kept.spans[-1].to_s, who, people, shots, verdicts)
    file = write_shots(whole, out, before)
    pages = write_sheet(sheet, shots, verdicts, file.shots)
    return Found(file, out, tuple(pages), tuple(remarks))


def _decided(before: ShotsFile) -> bool:
    """Whether the actor of the file is another one than it would name: then a person chose."""
    return bool(before.people) and before.actor is not None and before.actor != before.people[0].id


def _known(film: Path) -> dict[str, Any]:
    """What a film is recognized by: its size and the bytes at both ends."""
    import hashlib

    try:
        size = film.stat().st_size
        with open(film, "rb") as file:
            digest = hashlib.sha256(file.read(KNOWN_BY))
            file.seek(max(0, size - KNOWN_BY))
            digest.update(file.read(KNOWN_BY))
    except OSError as error:
        raise MediaError(f"{film} cannot be read", str(error.strerror), "check the path") from error
    return {"bytes": size, "sha256_ends": digest.hexdigest()}


def _heard(film: Path, choice: media.SoundChoice) -> tuple[list[str], bool]:
    """What to say about the original sound, and whether there is one."""
    from lipbench.media.audio import AudioSource

    try:
        with AudioSource(film, choice) as source:
            return list(source.remarks), True
    except NoAudio:
        return [f"{film} has no sound: nobody is known to speak, the actor is who is seen longest"], False
