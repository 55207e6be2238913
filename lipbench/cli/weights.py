"""lipbench weights: list, fetch, add and check network weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from lipbench.core import weights
from lipbench.core.errors import UsageError, WeightsError, WeightsMismatch, WeightsMissing

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def main() -> None:
    """List, fetch, add and check network weights.

    Nothing is fetched unless `get` is called. Files live in $LIPBENCH_WEIGHTS (default ~/.cache/lipbench/weights).
    """


def _facts(status: weights.Status) -> dict[str, Any]:
    entry = weights.entry(status.name)
    return {
        "name": entry.name,
        "state": status.state,
        "used_for": entry.used_for,
        "licence": entry.licence,
        "file": entry.file,
        "size": entry.size or sum(member.size for member in entry.members),
        "pinned": status.pinned,
        "sha256": status.sha256,
        "path": None if status.path is None else str(status.path),
        "how": None if status.state == "ok" else entry.how,
        "remark": status.remark,
    }


@main.command("list")
@as_json
def list_(as_json: bool) -> None:
    """Show all known weights and which of them are here."""
    rows = [_facts(weights.status(name)) for name in weights.registry()]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        click.echo(f"{row['name']:<{width}}  {row['state']:<8}  {row['size'] / 1e6:6.1f} MB  {row['used_for']}")
        click.echo(f"{'':<{width}}  licence: {row['licence']}")
        if row["state"] == "mismatch":
            click.echo(f"{'':<{width}}  {row['path']}: {row['remark']}")
        if row["how"]:
            click.echo(f"{'':<{width}}  {row['how']}")
    click.echo(f"\nfolder: {weights.folder()}")


@main.command()
@click.argument("names", nargs=-1)
@click.option(
    "--for", "run_file", type=click.Path(path_type=Path), help="Also everything that this run file needs and lacks."
)
@click.option("--again", is_flag=True, help="Fetch even when the file is here.")
@as_json
def get(names: tuple[str, ...], run_file: Path | None, again: bool, as_json: bool) -> None:
    """Fetch weights by name, or all that a run needs; a file with a wrong hash is refused.

    What no program can fetch is named with what a person can do; then the exit code is 2. One that cannot be had keeps
    none of the others from coming.
    """
    by_hand: list[str] = []
    if run_file is not None:
        lacking = _lacking(run_file)
        by_hand = [name for name in lacking if name not in names and not _fetchable(name)]
        names = tuple(dict.fromkeys([*names, *(name for name in lacking if name not in by_hand)]))
        if not lacking:
            click.echo(f"{run_file} lacks no weights", err=as_json)
    elif not names:
        raise UsageError("which weights?", "", "name them, or a run file: `lipbench weights get --for mine.yaml`")
    entries = [weights.entry(name) for name in names]  # a misspelt last name fails before the first download
    done, failed = [], list[WeightsError]()
    for entry in entries:
        click.echo(f"{entry.name}: licence: {entry.licence}", err=as_json)
        try:
            path = weights.get(entry.name, log=lambda line: click.echo(line, err=True), again=again)
        except WeightsError as error:
            failed.append(error)
            continue
        done.append(_facts(weights.status(entry.name)))
        click.echo(f"{entry.name}: {path}", err=as_json)
    if as_json:
        click.echo(json.dumps(done, indent=2))
    if by_hand:
        failed.append(
            WeightsMissing(
                f"no program can fetch {', '.join(by_hand)}",
                "their authors share them through web pages",
                "; ".join(weights.entry(name).how for name in by_hand),
            )
        )
    for one in failed[:-1]:
        click.echo(f"error: {one}", err=True)
    if failed:
        raise failed[-1]


def _lacking(run_file: Path) -> list[str]:
    from lipbench.engine import api, preflight
    from lipbench.engine.foresight import of_weights

    return preflight.lacking(of_weights(api.prepare(run_file)))


def _fetchable(name: str) -> bool:
    from lipbench.engine import preflight

    return preflight.fetchable(name)


@main.command()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take this file in place of the one that was added before.")
@click.option("--any-size", is_flag=True, help="Take a form of another size; its entries must be the network's.")
@as_json
def add(name: str, file: Path, replace: bool, any_size: bool, as_json: bool) -> None:
    """Take a file that you have into the weights folder.

    Weights with a published hash must match it. For the others size and entries must be the network's; the hash of
    this file is recorded and holds from now on, until another is added with --replace.
    """
    entry = weights.entry(name)
    click.echo(f"{entry.name}: licence: {entry.licence}", err=as_json)
    path = weights.add(name, file, replace=replace, any_size=any_size)
    facts = _facts(weights.status(name))
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    click.echo(f"{name}: {path}")
    click.echo(f"SHA-256 {facts['sha256']} ({'recorded now' if entry.sha256 is None and not entry.members else 'ok'})")


@main.command()
@click.argument("names", nargs=-1)
@as_json
def check(names: tuple[str, ...], as_json: bool) -> None:
    """Hash the files again and compare; exit code 2 when one is wrong or a named one is missing."""
    found = weights.check(names)
    if as_json:
        click.echo(json.dumps([_facts(status) for status in found], indent=2))
    else:
        for status in found:
            click.echo(f"{status.name:<16}  {status.state:<8}  {status.sha256 or status.remark}")
    if any(status.state == "mismatch" for status in found):
        wrong = [status.name for status in found if status.state == "mismatch"]
        raise WeightsMismatch(
            f"wrong files: {', '.join(wrong)}", "they are never loaded", "delete them and fetch again"
        )
    if names and (absent := [status.name for status in found if status.state == "missing"]):
        raise WeightsMissing(f"not on this machine: {', '.join(absent)}", "", weights.entry(absent[0]).how)
