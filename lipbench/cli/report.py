"""lipbench report: one page about a run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

_UNITS = {"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}


def _bytes(_: click.Context, __: click.Parameter, value: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?b)?", value.strip(), re.I)
    if match is None:
        raise click.BadParameter("a size, e.g. 25MB")
    return int(float(match[1]) * _UNITS[(match[2] or "").upper()])


@click.command(name="report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder, or with --single-file the file. [default: report/ or report.html in RUN]",
)
@click.option("--single-file", is_flag=True, help="One html file with smaller videos inside.")
@click.option("--budget", default="25MB", show_default=True, callback=_bytes, help="Size that a single file may have.")
@click.option(
    "--gate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Verdict of `lipbench gate --output` to show on top. [default: gate.json in RUN]",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(run: Path, output: Path | None, single_file: bool, budget: int, gate: Path | None, as_json: bool) -> None:
    """Write a page about the run directory RUN: verdict, tables, curves, videos side by side, failures, provenance.

    It works without a network. The folder form keeps the videos beside the page; --single-file is for mails and
    build artifacts.

    \b
    Examples:
      lipbench report runs/demo
      lipbench report runs/demo --single-file --budget 10MB -o demo.html
    """
    from lipbench.reports.html import write

    log = (lambda line: None) if as_json else (lambda line: click.echo(line, err=True))
    made = write(run, output, single_file=single_file, budget=budget, gate=gate, log=log)
    if as_json:
        click.echo(
            json.dumps(
                {
                    "page": str(made.page),
                    "bytes": made.size,
                    "videos": made.videos,
                    "left_out": made.left_out,
                    "remarks": made.remarks,
                }
            )
        )
        return
    click.echo(f"{made.page}: {made.size / 1e6:.1f} MB, {made.videos} videos")
    for remark in made.remarks:
        click.echo(f"  {remark}")
