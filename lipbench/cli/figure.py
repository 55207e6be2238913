"""lipbench figure: contact sheets of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


def _csv(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part)


def _seconds(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[float, ...]:
    try:
        return tuple(float(part) for value in values for part in value.split(",") if part)
    except ValueError as error:
        raise click.BadParameter("seconds, e.g. 0.4,1.2") from error


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
    as_json: bool,
) -> None:
    """Draw frames of the run directory RUN: methods as rows, moments as columns.

    Where the dub has timed phonemes, moments are chosen where lips show most (closed, rounded, wide open), and the
    sounds stand above the columns; else the transcript stands above the sheet.

    \b
    Examples:
      lipbench figure runs/demo --clip demo-en --lang fr -o fig4.pdf
      lipbench figure runs/demo --kind mouth --method truth,lipnerf,wav2lip -o mouths.png
      lipbench figure runs/ablation --kind blink --method full,no_blink -o fig8.pdf
    """
    import json

    from lipbench.reports import figures, plots
    from lipbench.reports.details import Details

    chosen: dict[str, Any] = {"clip": clip, "language": lang, "methods": methods, "times": times}
    if columns is not None:
        chosen["n"] = columns
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
