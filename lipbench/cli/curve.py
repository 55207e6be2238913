"""lipbench curve: a metric over training length, quality over cost, sync distance over AV offset."""

from __future__ import annotations

from pathlib import Path

import click

from lipbench.core.atomic import write_text
from lipbench.core.errors import UsageError

DRAWINGS = ("svg", "pdf", "png")
TEXTS = ("csv", "json", "txt")


@click.command(name="curve")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["length", "cost", "shift"]),
    default="length",
    show_default=True,
    help="Over training length, over seconds of work, or sync distance over AV offset.",
)
@click.option("--metric", default="lse_d", show_default=True, help="Metric id; --kind shift has its own.")
@click.option("--by-lang", is_flag=True, help="One small plot per language (--kind length).")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="File: svg, pdf or png is drawn; csv, json or txt has the points.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the points as JSON.")
def main(run: Path, kind: str, metric: str, by_lang: bool, output: Path | None, as_json: bool) -> None:
    """Draw or print a curve of the run directory RUN, one line per method.

    Points are means over clips, bands 95 % t intervals over clips. Without -o the points are printed.

    \b
    Examples:
      lipbench curve runs/demo --metric lse_d -o fig6.pdf
      lipbench curve runs/demo --kind shift -o shift.svg
      lipbench curve runs/demo --kind cost --metric psnr_mouth_truth --json
    """
    from lipbench.reports import curve_writers, curves
    from lipbench.reports.details import Details

    if by_lang and kind != "length":
        raise UsageError("--by-lang goes with --kind length only", "", "leave it out")
    form = "" if output is None else output.suffix.lstrip(".").lower()
    if output is not None and form not in (*DRAWINGS, *TEXTS):
        raise UsageError(
            f"cannot write {output.name}",
            f"the suffix is {output.suffix or 'missing'}",
            "one of " + ", ".join((*DRAWINGS, *TEXTS)),
        )
    curve = curves.build(Details(run), kind, metric, by_lang)
    if as_json:
        click.echo(curve_writers.json_text(curve), nl=False)
    if output is None:
        if not as_json:
            click.echo(curve_writers.text(curve), nl=False)
    elif form in TEXTS:
        write_text(output, curve_writers.WRITERS[form](curve))
    else:
        from lipbench.reports import plots

        plots.save(plots.draw(curve), output)
