"""lipbench table: print a run's comparison table."""

from __future__ import annotations

from pathlib import Path

import click

from lipbench.core.atomic import write_text
from lipbench.core.errors import UsageError

FORMATS = ("md", "tex", "csv", "json")


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: by the suffix of -o, else md.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(["clip", "lang", "seconds", "sound"]),
    help="Keep clips, languages, train lengths or own audio and dubs apart; repeatable.",
)
@click.option("--metric", "metrics", multiple=True, help="A column, by id or pattern; repeatable.")
@click.option("--all", "everything", is_flag=True, help="All metrics of the run, not only the headline ones.")
@click.option(
    "--mark",
    type=click.Choice(["ranks", "significant"]),
    default="ranks",
    show_default=True,
    help="The best three, or the best and all that the clips do not tell from it.",
)
@click.option("--paper", is_flag=True, help="Add the methods' published numbers, unranked.")
@click.option(
    "--layout",
    type=click.Choice(["long", "wide", "lipnerf-table-1"]),
    default="long",
    show_default=True,
    help="LaTeX for a paper: metrics side by side with intervals (`--by lang`: a block for each language), or the "
    "columns and rows of the LipNeRF paper's Table I.",
)
@click.option("--definitions", is_flag=True, help="Say below the table exactly what each column measures.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write to a file.")
def main(
    runs: tuple[Path, ...],
    form: str | None,
    as_json: bool,
    by: tuple[str, ...],
    metrics: tuple[str, ...],
    everything: bool,
    mark: str,
    paper: bool,
    layout: str,
    definitions: bool,
    output: Path | None,
) -> None:
    """Print the comparison table of run directories.

    Several runs make one table when they share sync model, protocol and clips.
    """
    from lipbench.reports.tables import load, table_text

    if as_json and form not in (None, "json"):
        raise UsageError("--json and --format disagree", "", "give one of them")
    suffix = "" if output is None else output.suffix.lstrip(".")
    if layout != "long":
        if as_json or form not in (None, "tex") or suffix not in ("", "tex"):
            raise UsageError(f"--layout {layout} is LaTeX", "", "leave out --format, or choose tex")
        if everything or definitions:
            raise UsageError(f"--layout {layout} has few columns", "", "choose them with --metric")
        from lipbench.reports.latex_wide import wide

        apart = tuple(dict.fromkeys(by))
        _write(wide(load(runs), layout=layout, by=apart, metrics=metrics, paper=paper, mark=mark), output)
        return
    form = form or ("json" if as_json else suffix if suffix in FORMATS else "md")
    text = table_text(
        *runs,
        format=form,
        by=tuple(dict.fromkeys(by)),
        metrics=metrics,
        everything=everything,
        paper=paper,
        definitions=definitions,
        mark=mark,
    )
    _write(text, output)


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
