"""lipbench data template: the paper's data set as a manifest whose films its owner names."""

from __future__ import annotations

from pathlib import Path

import click

TEMPLATE = "lipnerf-paper.template.yaml"


@click.command("template")
def main() -> None:
    """Print the manifest of the paper's data set, to be filled in.

    Ten slots for scenes of films, one title known. `lipbench data check` refuses it until what only the owner of the
    films can say is filled in.

    \b
    Example: lipbench data template > lipnerf-paper.yaml
    """
    import lipbench.datasets

    click.echo((Path(lipbench.datasets.__file__).parent / TEMPLATE).read_text(encoding="utf-8"), nl=False)
