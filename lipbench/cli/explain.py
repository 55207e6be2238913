"""lipbench explain: what a key stands for, or where two differ."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lipbench.core import keys
from lipbench.core.errors import UsageError
from lipbench.core.store import Record, Store


@click.command(name="explain")
@click.argument("key")
@click.argument("other", required=False)
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory. [default: all below runs/]")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(key: str, other: str | None, run_dir: Path | None, as_json: bool) -> None:
    """Print what a stage's key was made of; with two keys, the first field in which they differ.

    Keys may be shortened to their first digits. They stand in the run's cells.jsonl and as folders under objects/.
    """
    first = _find(key, run_dir)
    if other is None:
        answer = {
            "key": first.key,
            "kind": first.kind,
            "status": first.status,
            "reason": first.reason,
            "preimage": first.preimage,
            "timing": first.timing,
            "provenance": first.provenance,
        }
        click.echo(json.dumps(answer, indent=1))
        return
    second = _find(other, run_dir)
    found = keys.first_difference(dict(first.preimage), dict(second.preimage))
    if as_json:
        names = ("field", "first", "second")
        click.echo(json.dumps(None if found is None else dict(zip(names, found, strict=True))))
    elif found is None:
        click.echo("the same: nothing that can change the result differs")
    else:
        click.echo(f"{found[0]}\n  {first.key[:12]}: {found[1]!r}\n  {second.key[:12]}: {found[2]!r}")


def _find(key: str, run_dir: Path | None) -> Record:
    roots = [run_dir] if run_dir is not None else sorted(p.parent for p in Path("runs").glob("*/objects"))
    if not roots or not all((root / "objects").is_dir() for root in roots):
        raise UsageError("no run directory here", f"looked in {run_dir or 'runs/'}", "name one with --run")
    for root in roots[:-1]:
        try:
            return Store(root).find(key)
        except UsageError:
            continue
    return Store(roots[-1]).find(key)
