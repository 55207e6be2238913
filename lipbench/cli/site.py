"""lipbench site: a leaderboard of many runs as static pages."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(name="site")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("site"),
    show_default=True,
    help="Folder of the pages.",
)
@click.option("--title", default="Lip-sync leaderboard", show_default=True, help="Of the first page.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(runs: tuple[Path, ...], output: Path, title: str, as_json: bool) -> None:
    """Write a leaderboard of run directories: sortable, a page for each data set and method, without a network.

    Runs stand in one table where their numbers compare: the same clips, dubs, sync model and versions. The records that
    the numbers are made from are copied beside the pages; reasons in them may name folders of this machine.

    \b
    Examples:
      lipbench site runs/* -o public
    """
    from lipbench.reports.site import write

    made = write(runs, output, title)
    if as_json:
        click.echo(
            json.dumps({"index": str(made.index), "pages": made.pages, "tables": made.boards, "runs": made.runs})
        )
        return
    click.echo(f"{made.index}: {made.pages} pages, {made.boards} tables of {made.runs} runs")
