"""lipbench explain: what a key stands for, or where two differ."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lipbench.core import keys
from lipbench.core.code.record import read_code
from lipbench.core.errors import UsageError
from lipbench.core.store import Record, Store


@click.command(name="explain")
@click.argument("key")
@click.argument("other", required=False)
@click.option("--run", "run_dir", type=click.Path(path_type=Path), help="Run directory. [default: all below runs/]")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(key: str, other: str | None, run_dir: Path | None, as_json: bool) -> None:
    """Print what a stage's key was made of; with two keys, the first field in which they differ.

    Where that is the code, the modules that differ are named.

    Keys may be shortened to their first digits. They stand in the run's cells.jsonl and as folders under objects/.
    """
    first, root = _find(key, run_dir)
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
    second, other_root = _find(other, run_dir)
    found = keys.first_difference(dict(first.preimage), dict(second.preimage))
    modules = None
    if found is not None and found[0].rpartition(".")[2] == "code":
        modules = changed_modules(root, str(found[1]), other_root, str(found[2]))
    if as_json:
        names = ("field", "first", "second")
        difference = {} if found is None else dict(zip(names, found, strict=True))
        click.echo(json.dumps(difference | ({} if modules is None else {"modules": modules}) or None))
    elif found is None:
        click.echo("the same: nothing that can change the result differs")
    else:
        click.echo(f"{found[0]}\n  {first.key[:12]}: {found[1]!r}\n  {second.key[:12]}: {found[2]!r}")
        for name, how in (modules or {}).items():
            click.echo(f"  {how}: {name}")


def changed_modules(first_root: Path, first: str, second_root: Path, second: str) -> dict[str, str] | None:
    """Modules in which two closures differ -> "changed", "added" or "removed"; None when a run does not hold them."""
    a, b = read_code(first_root, first), read_code(second_root, second)
    if a is None or b is None:
        return None
    different = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
    return {n: "added" if n not in a else "removed" if n not in b else "changed" for n in different}


def _find(key: str, run_dir: Path | None) -> tuple[Record, Path]:
    roots = [run_dir] if run_dir is not None else sorted(p.parent for p in Path("runs").glob("*/objects"))
    if not roots or not all((root / "objects").is_dir() for root in roots):
        raise UsageError("no run directory here", f"looked in {run_dir or 'runs/'}", "name one with --run")
    for root in roots[:-1]:
        try:
            return Store(root).find(key), root
        except UsageError:
            continue
    return Store(roots[-1]).find(key), roots[-1]
