"""lipbench explain-score: which convention moves which number by how much."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lipbench.core.errors import UsageError


@click.command(name="explain-score")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@click.option(
    "--through",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A further answer, between A and B: steps may go through its numbers (C, D, ...).",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(a: Path, b: Path, through: tuple[Path, ...], as_json: bool) -> None:
    """Say why the numbers in A and B differ, two answers of `lipbench score --json`.

    \b
    Examples:
      lipbench score dubbed.mp4 --reference source.mp4 --json > A.json
      lipbench score dubbed.mp4 --reference source.mp4 --as talklip --json > B.json
      lipbench explain-score A.json B.json
      lipbench score dubbed.mp4 --as syncnet --codec none --json > C.json
      lipbench explain-score A.json syncnet.json --through C.json
    """
    from lipbench.metrics.explain import explain, lines

    chains = explain(_read(a), _read(b), [_read(path) for path in through])
    if as_json:
        click.echo(json.dumps([[step.as_json() for step in chain] for chain in chains], indent=1))
        return
    for line in lines(chains) if chains else ["every number that both hold is the same, by the same convention"]:
        click.echo(line)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}", str(error), "write it with `lipbench score VIDEO --json`") from error
