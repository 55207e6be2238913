"""lipbench report: one page about a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from lipbench.core.errors import UsageError

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def _bytes(_: click.Context, __: click.Parameter, value: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b)?", value.strip(), re.I)
    if match is None:
        raise click.BadParameter("a size, e.g. 25MB")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


@click.command(name="report")
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder, or with --single-file the file; of several runs the folder of their index. "
    "[default: report/ or report.html in RUN, reports/]",
)
@click.option("--single-file", is_flag=True, help="One html file with smaller videos inside.")
@click.option("--budget", default="25MB", show_default=True, callback=_bytes, help="Size that a single file may have.")
@click.option(
    "--gate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Verdict of `lipbench gate --output` to show on top. [default: gate.json in RUN]",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    runs: tuple[Path, ...], output: Path | None, single_file: bool, budget: int, gate: Path | None, as_json: bool
) -> None:
    """Write a page about the run directory RUN: who is ahead, videos side by side, tables, curves, provenance.

    It works without a network, and on a run that still goes on. The folder form keeps the videos beside the page;
    --single-file is for mails and build artifacts. Several runs get a page each, in their folders, and an index over
    them with a trend.

    \b
    Examples:
      lipbench report runs/demo
      lipbench report runs/demo --single-file --budget 10MB -o demo.html
      lipbench report runs/night-*
    """
    from lipbench.reports.html import write

    log = (lambda line: None) if as_json else (lambda line: click.echo(line, err=True))
    several = len(runs) > 1
    if several and (gate is not None or single_file):
        raise UsageError("several runs get a page each", "--gate and --single-file are about one", "name one RUN")
    made = [
        write(run, None if several else output, single_file=single_file, budget=budget, gate=gate, log=log)
        for run in runs
    ]
    if several:
        from lipbench.reports.html.index import write_index

        index = write_index([(run, one.page) for run, one in zip(runs, made, strict=True)], output or Path("reports"))
    if as_json:
        answers = [
            {
                "page": str(one.page),
                "bytes": one.size,
                "videos": one.videos,
                "left_out": one.left_out,
                "remarks": one.remarks,
            }
            for one in made
        ]
        click.echo(json.dumps({"index": str(index), "reports": answers} if several else answers[0]))
        return
    for one in made:
        click.echo(f"{one.page}: {one.size / 1e6:.1f} MB, {one.videos} videos")
        for remark in one.remarks:
            click.echo(f"  {remark}")
    if several:
        click.echo(f"{index}: {len(made)} runs")
