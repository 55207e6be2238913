"""lipbench figure: contact sheets of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from lipbench.core.errors import UsageError


def _csv(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part)


def _seconds(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[float, ...]:
    try:
        return tuple(float(part) for value in values for part in value.split(",") if part)
    except ValueError as error:
        raise click.BadParameter("seconds, e.g. 0.4,1.2") from error


def _moments(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[float, str], ...]:
    found = []
    for part in (part for value in values for part in value.split(",") if part):
        time, _sign, label = part.partition("=")
        try:
            found.append((float(time), label.strip()))
        except ValueError as error:
            raise click.BadParameter(f"{part!r} is no moment: seconds=sound, e.g. 0.4=p,1.2=a") from error
    return tuple(found)


@click.command(name="figure")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="File: png, pdf or svg.")
@click.option(
    "--kind",
    type=click.Choice(["sheet", "mouth", "both", "blink"]),
    default="sheet",
    show_default=True,
    help="Whole frames, mouths, both, or eyes around a blink of the source.",
)
@click.option("--clip", default="", help="Clip id. [default: the first]")
@click.option("--lang", default="", help="Dub language. [default: the first]")
@click.option("--method", "methods", multiple=True, callback=_csv, help="Rows, by label and in this order; repeatable.")
@click.option("--columns", type=click.IntRange(1, 16), help="Images in a row. [default: 8, for a blink 7]")
@click.option("--time", "times", multiple=True, callback=_seconds, help="Moments in seconds, e.g. 0.4,1.2.")
@click.option(
    "--moments",
    multiple=True,
    callback=_moments,
    help="Moments with what is said then, e.g. 0.4=p,1.2=a: for dubs without timed phonemes.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    run: Path,
    output: Path,
    kind: str,
    clip: str,
    lang: str,
    methods: tuple[str, ...],
    columns: int | None,
    times: tuple[float, ...],
    moments: tuple[tuple[float, str], ...],
    as_json: bool,
) -> None:
    """Draw frames of the run directory RUN: methods as rows, moments as columns.

    Where the dub has timed phonemes, moments are chosen where lips show most (closed, rounded, wide open), and the
    sounds stand above the columns; else the transcript stands above the sheet.

    \b
    Examples:
      lipbench figure runs/demo --clip demo-en --lang fr -o fig4.pdf
      lipbench figure runs/demo --kind mouth --method truth,lipnerf,wav2lip -o mouths.png
      lipbench figure runs/film --kind both --moments 0.44=m,1.32=a,2.08=o -o fig5.pdf
      lipbench figure runs/ablation --kind blink --method full,no_blink -o fig8.pdf
    """
    import json

    from lipbench.reports import figures, plots
    from lipbench.reports.details import Details

    chosen: dict[str, Any] = {"clip": clip, "language": lang, "methods": methods, "times": times}
    if columns is not None:
        chosen["n"] = columns
    if moments:
        if times or columns is not None or kind == "blink":
            raise UsageError("--moments choose the columns", "", "leave out --time, --columns and --kind blink")
        chosen |= {"times": [time for time, _ in moments], "labels": [label for _, label in moments]}
    details = Details(run)
    if kind == "blink":
        sheet = figures.blink(details, **chosen)
    else:
        sheet = figures.sheet(details, crop="full" if kind == "sheet" else kind, **chosen)
    plots.save(figures.draw(sheet), output)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "figure": str(output),
                    "title": sheet.title,
                    "rows": [row.title for row in sheet.rows],
                    "columns": [{"frame": c.frame, "label": c.label} for c in sheet.columns],
                    "notes": sheet.notes,
                },
                ensure_ascii=False,
            )
        )
        return
    click.echo(f"{output}: {len(sheet.rows)} rows, {len(sheet.columns)} columns")
    for note in sheet.notes:
        click.echo(f"  {note}")
