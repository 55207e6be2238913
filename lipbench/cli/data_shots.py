"""lipbench data shots: the shots of a film, the people in them, and which are of use."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipbench.core.errors import UsageError

if TYPE_CHECKING:
    from lipbench.datasets.film.shots_find import Found


@click.command("shots")
@click.argument("film")
@click.option("--actor", help="Whose shots are used: letter or number on the sheet. [default: who speaks longest]")
@click.option(
    "--faces", default="mediapipe-face", show_default=True, help="Face backend; demo-face for generated films."
)
@click.option(
    "--embedding",
    type=click.Choice(["colors", "dlib"]),
    default="colors",
    show_default=True,
    help="What people are told apart by; dlib needs dlib and face_recognition_models installed.",
)
@click.option("--original", metavar="a:N", help="Which sound of the film is the original, e.g. a:0.")
@click.option("--channel", help="The one channel of it to listen to, e.g. center. [default: all, mixed]")
@click.option(
    "--least-seconds", default=1.0, show_default=True, type=click.FloatRange(0), help="Of a shot that is used."
)
@click.option("--least-face", default=96.0, show_default=True, type=click.FloatRange(0), help="Height of the face, px.")
@click.option(
    "--least-speaking", default=0.3, show_default=True, type=click.FloatRange(0, 1), help="Share of the shot."
)
@click.option("--most-light", default=1.0, show_default=True, type=click.FloatRange(0), help="Change of light, stops.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="The file to write. [default: FILM's name.shots.yaml]"
)
@click.option("--sheet", type=click.Path(path_type=Path), help="The contact sheet. [default: beside it, .jpg]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    film: str,
    actor: str | None,
    faces: str,
    embedding: str,
    original: str | None,
    channel: str | None,
    least_seconds: float,
    least_face: float,
    least_speaking: float,
    most_light: float,
    out: Path | None,
    sheet: Path | None,
    as_json: bool,
) -> None:
    """Find the shots of a film, the people in them, and which show the actor as a clip has to.

    Writes a shots file to edit and a contact sheet to look at. Interrupted, the same command goes on; a second call
    with another --actor or other limits does not look at the film again.

    \b
    Example: lipbench data shots film.mkv --original a:0
    """
    from lipbench import media
    from lipbench.datasets.film.shots_find import find_shots
    from lipbench.datasets.film.shots_people import Rules
    from lipbench.media.streams import split_stream
    from lipbench.metrics.sync.landmark.shot_speaking import speaking_mouths

    path, stream = split_stream(film)
    stream = _stream(original) if original is not None else stream
    out = out or Path(path.stem + ".shots.yaml")
    sheet = sheet or out.with_suffix(".jpg")
    if sheet.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        raise UsageError(f"cannot write a contact sheet {sheet}", "it is a picture", "end its name in .jpg or .png")

    def tell(done: int, total: int) -> None:
        if not as_json and (sys.stderr.isatty() or done == total or done % 10 == 0):
            click.echo(f"{done}/{total} shots", err=True)

    found = find_shots(
        path,
        out,
        sheet,
        backend=faces,
        embedding=embedding,
        actor=actor,
        sound=media.SoundChoice(stream, channel),
        rules=Rules(least_seconds, least_face, light_stops=most_light, speaking=least_speaking),
        speaking=speaking_mouths,
        tell=tell,
    )
    for remark in found.remarks:
        click.echo(f"remark: {remark}", err=True)
    if as_json:
        data = found.file.model_dump(mode="json", by_alias=True, exclude_none=True)
        click.echo(
            json.dumps({**data, "file": str(found.path), "sheet": [str(page) for page in found.sheet]}, indent=2)
        )
    else:
        _show(found)


def _show(found: Found) -> None:
    file = found.file
    click.echo(f"{len(file.shots)} shots in {file.seconds:.1f} s")
    for person in file.people:
        speaks = "" if person.speaking_s is None else f", speaks {person.speaking_s:.1f} s"
        chosen = "  <- actor" if person.id == file.actor else ""
        click.echo(f"  {person.id}  {person.shots} shots, seen {person.seconds:.1f} s{speaks}{chosen}")
    used = file.used
    click.echo(f"{len(used)} of use, {sum(shot.end - shot.start for shot in used):.1f} s")
    click.echo(f"edit {found.path}, look at {', '.join(str(page) for page in found.sheet)}")


def _stream(text: str) -> int:
    number = text.removeprefix("a:")
    if not number.isdecimal():
        raise UsageError(f"--original {text}: not an audio stream", "", "write a:0 for the first, a:1 for the second")
    return int(number)
