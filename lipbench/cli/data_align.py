"""lipbench data align: where the dubs of a film are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lipbench.core.errors import Refused, UsageError

if TYPE_CHECKING:
    from lipbench.datasets.film.align_file import DubTrack
    from lipbench.datasets.film.align_film import AlignedDub

#: What the name of an alignment's file ends with.
ENDING = ".align.yaml"


@click.command("align")
@click.argument("film", type=click.Path(path_type=Path))
@click.option("--dub", "dubs", multiple=True, metavar="LANG=FILE", help="A dub: FILE or FILE:a:N; repeatable.")
@click.option("--original", metavar="a:N", help="The original's sound track. [default: the default one]")
@click.option("--reach", default=120.0, show_default=True, type=click.FloatRange(1, 7200), help="How far to look, s.")
@click.option(
    "--offset", "offsets", multiple=True, metavar="LANG=S", help="An offset that is known: one piece by hand."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="[default: FILM with the ending .align.yaml]")
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="A PNG of what was measured.")
@click.option("--again", is_flag=True, help="Measure what the file has already, too.")
@click.option("--tracks", "only_tracks", is_flag=True, help="Only list the film's sound tracks.")
@click.option("--check", "checks", is_flag=True, help="FILM is a .align.yaml: measure within 1 s of what it says.")
@click.option("--listen", "moment", metavar="TIME", help="FILM is a .align.yaml: 10 s as a wav, film left, dub right.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(
    film: Path,
    dubs: tuple[str, ...],
    original: str | None,
    reach: float,
    offsets: tuple[str, ...],
    out: Path | None,
    picture: Path | None,
    again: bool,
    only_tracks: bool,
    checks: bool,
    moment: str | None,
    as_json: bool,
) -> None:
    """Find the dubs of FILM by the music and effects that they share with it.

    Without --dub the dubs are the film's own sound tracks in another language. Writes FILM.align.yaml, which can be
    mended by hand: a piece with `by: hand` is kept by later runs. Exit code 2 where a dub is refused; the others are
    written all the same.
    """
    if checks or moment is not None:
        _look(film, checks, moment, [text.partition("=")[0] for text in dubs], out, as_json)
        return
    from lipbench.datasets.film.film_tracks import sound_tracks

    if only_tracks:
        tracks = sound_tracks(film)
        shown = [{"track": t.number, "language": t.language, "layout": t.layout, "title": t.title} for t in tracks]
        click.echo(json.dumps(shown, indent=2) if as_json else "\n".join(map(str, tracks)))
        return
    from lipbench.datasets.film.align_film import align_film

    path = out or film.with_suffix(ENDING)
    done: list[AlignedDub] = []

    def tell(one: AlignedDub) -> None:
        done.append(one)
        for text in one.remarks:
            click.echo(f"warning: {one.language}: {text}", err=True)
        if not as_json:
            click.echo(line(one.language, one.entry) + ("" if one.measured else "  (as before)"))

    file = align_film(
        film,
        path,
        original=_track(original),
        dubs=pairs(dubs, "--dub", "fr=french.mka"),
        offsets={k: _seconds(v) for k, v in pairs(offsets, "--offset", "fr=+1.25").items()},
        reach_s=reach,
        again=again,
        done=tell,
    )
    if picture is not None:
        measured = {one.language: one.measured for one in done if one.measured}
        if not measured:
            raise UsageError(f"cannot draw {picture}", "nothing was measured: the file has all dubs", "add --again")
        from lipbench.datasets.film.align_plot import plot

        plot(measured, picture)
    if as_json:
        data = file.model_dump(by_alias=True, exclude_none=True)
        click.echo(json.dumps({"file": str(path), **data}, indent=2))
    refused = [one for one in done if one.entry.verdict == "refused"]
    if refused:
        names = ", ".join(repr(one.language) for one in refused)
        raise Refused(
            f"the dub{'s' if len(refused) > 1 else ''} {names} cannot be aligned with {film}",
            refused[0].entry.why,
            f"check that it is the same cut; --reach 600 looks further; or --offset {refused[0].language}=+1.25",
        )


def pairs(texts: Sequence[str], option: str, example: str) -> dict[str, str]:
    """LANG=VALUE options as a mapping.

    Raises:
        UsageError: of another form, or a language twice.
    """
    found: dict[str, str] = {}
    for text in texts:
        language, sign, value = text.partition("=")
        if not (language and sign and value):
            raise UsageError(f"{option} {text}: not of the form LANG=...", "", f"write for example {option} {example}")
        if language in found:
            raise UsageError(f"{option} {language} is given twice", "one language has one dub", "leave one out")
        found[language] = value
    return found


def line(language: str, dub: DubTrack) -> str:
    """One line on a dub, for people."""
    from lipbench.datasets.film.rates import rate_words
    from lipbench.datasets.film.times import clock

    rate = rate_words(dub.rate, None if dub.pitch is None else dub.pitch == "moved")
    if dub.verdict == "refused":
        return f"{language}  refused: {dub.why}"
    shown = [
        f"{p.offset:+.4f} s" + (f" from {clock(round(p.start, 2))}" if k else "") for k, p in enumerate(dub.pieces)
    ]
    places = ", ".join([*shown[:4], *(["..."] if len(shown) > 4 else [])])
    total = sum(p.end - p.start for p in dub.pieces)
    heard = sum((p.heard or 0.0) * (p.end - p.start) for p in dub.pieces) / total
    worst = max((p.precision_ms or 0.0) for p in dub.pieces)
    verdict = dub.verdict if not dub.why else f"{dub.verdict} ({dub.why})"
    number = f"{len(dub.pieces)} piece{'s' if len(dub.pieces) > 1 else ''}"
    return f"{language}  {rate}  {number}  offset {places}  heard in {heard:.0%}  +-{worst:.2g} ms  {verdict}"


def _track(text: str | None) -> int | None:
    if text is None:
        return None
    number = text.removeprefix("a:")
    if not number.isdecimal():
        raise UsageError(f"--original {text}: not a sound track", "", "write a:0, a:1, ...")
    return int(number)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--offset {text}: no number of seconds", "", "write for example --offset fr=+1.25") from None


def _look(path: Path, checks: bool, moment: str | None, only: list[str], out: Path | None, as_json: bool) -> None:
    """--check and --listen."""
    from lipbench.datasets.film import times
    from lipbench.datasets.film.align_file import read_align_file

    if not path.name.endswith((".yaml", ".yml")):
        raise UsageError(
            f"{path} is no alignment", "--check and --listen read what was written", f"name FILM{ENDING} in its place"
        )
    file = read_align_file(path)
    languages = only or [name for name, dub in file.dubs.items() if dub.pieces]
    shown: list[dict[str, Any]] = []
    for language in languages:
        if moment is not None:
            from lipbench.datasets.film.listen import listen

            at = times.moment(moment)
            name = f"{path.name.removesuffix(ENDING)}-{times.clock(at).replace(':', '')}-{language}.wav"
            made = listen(file, path.parent, language, at, out if out and len(languages) == 1 else path.parent / name)
            click.echo(f"{made}: film left, {language} right", err=as_json)
        if checks:
            shown.extend(_check(path, language, as_json))
    if as_json:
        click.echo(json.dumps(shown, indent=2))


def _check(path: Path, language: str, quiet: bool) -> list[dict[str, Any]]:
    from lipbench.datasets.film.align_file import read_align_file
    from lipbench.datasets.film.align_film import check_dub
    from lipbench.datasets.film.times import clock

    found = check_dub(read_align_file(path), language, path.parent)
    for one in found:
        piece = one.piece
        where = f"{language}  {clock(round(piece.start, 2))} to {clock(round(piece.end, 2))}  {piece.offset:+.4f} s"
        if one.measured is None:
            said = "nothing in common is heard within 1 s of it"
        else:
            off = 1000 * (one.measured - piece.offset)
            said = f"measured {one.measured:+.4f} s ({off:+.1f} ms, {one.sounds} sounds)"
        if not quiet:
            click.echo(f"{where}  {'by hand' if piece.by else 'as measured'}  {said}")
    return [
        {
            "dub": language,
            "from": one.piece.start,
            "offset": one.piece.offset,
            "measured": one.measured,
            "sounds": one.sounds,
        }
        for one in found
    ]
