"""lipbench compare: what changed between two runs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lipbench.core.atomic import write_text
from lipbench.core.errors import NothingComparable


@click.command(name="compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="LABEL[=LABEL]",
    help="Only this method; x=y compares x of A with y of B; repeatable.",
)
@click.option("--metric", "metrics", multiple=True, help="Only these metrics, id or pattern; repeatable.")
@click.option("--all", "everything", is_flag=True, help="All metrics, not only the headline ones.")
@click.option("--worst", type=click.IntRange(min=0), default=8, show_default=True, help="Clips to list.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    a: Path,
    b: Path,
    methods: tuple[str, ...],
    metrics: tuple[str, ...],
    everything: bool,
    worst: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare the run directories A and B, paired over clips.

    Ends with 0 whatever changed, and with 4 when nothing can be compared: `lipbench gate` decides.

    \b
    Examples:
      lipbench compare runs/main runs/branch
      lipbench compare runs/mine runs/mine --method wav2lip=ours --all
    """
    from lipbench.reports import compare_writers
    from lipbench.reports.compare import compare

    found = compare(a, b, methods=methods, metrics=metrics, everything=everything)
    text = json.dumps(compare_writers.as_json(found), indent=1, allow_nan=False) + "\n" if as_json else ""
    text = text or compare_writers.text(found, worst)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text)
    if all(delta.mark == "x" for delta in found.deltas):
        first = found.deltas[0]
        raise NothingComparable(
            f"nothing of {found.names[0]} and {found.names[1]} can be compared",
            f"{first.methods[1]} {first.line.metric}: {first.reason}",
            "run one of them again under the other's conditions",
        )
