"""lipbench doctor: what this machine has, and whether a method keeps its promises."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from lipbench.cli.dub import _params
from lipbench.core.errors import LipbenchError, UnknownName
from lipbench.engine.demo import demo_run

MARKS = {"ok": "ok", "missing": "--", "wrong": "!!", "fail": "!!", "skip": "  "}


@click.command(name="doctor")
@click.argument("methods", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All registered methods.")
@click.option("--demo", is_flag=True, help="With the parameters that `lipbench run` without a file gives the method.")
@click.option("-p", "--param", "params", multiple=True, callback=_params, help="A method parameter, NAME=VALUE.")
@click.option("--frames", default=30, show_default=True, type=click.IntRange(5, 250), help="Length of the clip.")
@click.option("--train-seconds", type=float, help="Train on this much of the clip. [default: all]")
@click.option("--seed", default=0, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Folder to leave the clip and the video in.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(
    methods: tuple[str, ...],
    every: bool,
    demo: bool,
    params: dict[str, Any],
    frames: int,
    train_seconds: float | None,
    seed: int,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Show what this machine has; with METHODS, run each on a clip of about a second and check its answer.

    METHODS are ids of `lipbench list methods` or external method files. Checked: frame rate, frames, size, audio, the
    same pixels from a second run, going on after an interruption, and that nothing finished is run twice.
    Exit code 1: a method fails a check; 2: something that it needs is not here.
    """
    from lipbench.core import registry

    if not methods and not every:
        _machine(as_json)
        return
    found: dict[str, list[dict[str, Any]]] = {}
    for name in registry.names("methods") if every else methods:
        given = {**(_demo_params(name) if demo else {}), **params}
        found[name] = _examine(name, given, keep, frames=frames, seed=seed, train_seconds=train_seconds)
        if not as_json:
            _print(name, found[name])
    if as_json:
        click.echo(json.dumps(found, indent=1))
    states = {line["state"] for lines in found.values() for line in lines}
    if "fail" in states:
        raise SystemExit(1)
    # Of all methods some always lack something; who asks for one wants to know.
    if "missing" in states and not every:
        raise SystemExit(2)


def _machine(as_json: bool) -> None:
    from lipbench.cli.doctor_machine import machine

    lines = [line.as_dict() for line in machine()]
    if as_json:
        click.echo(json.dumps(lines, indent=1))
    else:
        for group in dict.fromkeys(line["group"] for line in lines):
            _print(group, [line for line in lines if line["group"] == group])
        click.echo("\n`lipbench doctor METHOD` tries a method on a clip of about a second")
    if any(line["state"] == "wrong" and line["group"] == "machine" for line in lines):
        raise SystemExit(2)


def _examine(name: str, params: dict[str, Any], keep: Path | None, **options: Any) -> list[dict[str, Any]]:
    from lipbench.cli.doctor_method import Check, examine

    place = nullcontext(str(keep / Path(name).stem)) if keep else tempfile.TemporaryDirectory(prefix="lipbench-doctor-")
    with place as folder:
        try:
            return [check.as_dict() for check in examine(name, params, Path(folder), **options)]
        except UnknownName:
            raise
        except LipbenchError as error:
            what = f"{error.what}: {error.why}" if error.why else error.what
            return [Check("parameters", "missing", what, error.fix).as_dict()]


def _demo_params(name: str) -> dict[str, Any]:
    for entry in demo_run()["methods"]:
        if isinstance(entry, dict) and entry.get("id") == name:
            return dict(entry.get("params", {}))
    return {}


def _print(title: str, lines: Iterable[dict[str, Any]]) -> None:
    lines = list(lines)
    click.echo(f"\n{title}")
    width = max((len(line["what"]) for line in lines), default=0)
    for line in lines:
        click.echo(f"  {MARKS[line['state']]}  {line['what']:<{width}}  {line['detail']}".rstrip())
        if line["fix"]:
            click.echo(f"      {'':<{width}}  {line['fix']}")
