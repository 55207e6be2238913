"""lipbench method: make what an external method needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipbench.core.errors import UsageError

if TYPE_CHECKING:
    from lipbench.baselines.external.reading import MethodFile


@click.group(name="method")
def main() -> None:
    """Make what methods in environments of their own need."""


def located_of(name: str) -> MethodFile:
    """The method file behind a name or a path.

    Raises:
        UsageError: it is a method of lipbench's own.
        UnknownName: there is none.
        ManifestError: the file is wrong.
    """
    from lipbench.baselines.external.reading import read
    from lipbench.core import registry

    if name.endswith((".yaml", ".yml")):
        return read(name)
    located: MethodFile | None = getattr(registry.load("methods", name), "located", None)
    if located is None:
        raise UsageError(
            f"{name} has no environment of its own",
            "it runs in lipbench's Python",
            "its weights: `lipbench weights list`",
        )
    return located


@main.command(name="setup")
@click.argument("name")
@click.option("--again", is_flag=True, help="Make the environment anew where it is there.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the commands and run none.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def setup(name: str, again: bool, dry_run: bool, as_json: bool) -> None:
    """Clone the code of NAME and make its environment, as its method file says.

    NAME is an id of `lipbench list methods` or a method file. What was installed by its recipe (`env.recipe`) is
    recorded, and is part of the key of what the method makes. Weights are not fetched: what is missing is named.
    """
    from dataclasses import asdict

    from lipbench.baselines.external.installation import setup as build

    located = located_of(name)
    env = located.definition.env
    if dry_run:
        todo = build.steps(located, again)
        if as_json:
            click.echo(json.dumps([{"what": step.what, "argv": list(step.argv)} for step in todo], indent=1))
            return
        for step in todo:
            click.echo(f"cd {step.cwd} && {_quoted(step.argv)}" if step.cwd else _quoted(step.argv))
        return
    built = build.setup(located, again=again, say=lambda line: click.echo(line, err=as_json))
    missing = build.missing_weights(located)
    answer = {"method": located.definition.name, "repo": str(located.repo), "missing": missing}
    if as_json:
        click.echo(json.dumps({**answer, "environment": None if built is None else asdict(built)}, indent=1))
        return
    if env.recipe is None:
        click.echo(f"the method file has no recipe for its environment ({env.type} {env.name_or_path})".rstrip())
    elif built is not None:
        click.echo(f"environment {built.place}, {len(built.installed)} packages, made {built.made} by {built.tool}")
    for line in missing:
        click.echo(f"still missing: {line}")
    click.echo(f"next: lipbench doctor {name}")


def _quoted(argv: tuple[str, ...]) -> str:
    import shlex

    return shlex.join(str(Path(word)) if word.startswith("/") else word for word in argv)
