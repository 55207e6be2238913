"""lipbench list: what there is and what can run here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from lipbench.core import registry, weights
from lipbench.core.errors import LipbenchError

if TYPE_CHECKING:
    from lipbench.core.method import MethodSpec


@click.command(name="list")
@click.argument("what", type=click.Choice(["methods", "metrics", "datasets", "judges"]))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(what: str, as_json: bool) -> None:
    """List methods, metrics, data sets or judges, with what each one needs and whether it can run here."""
    rows = {"methods": _methods, "metrics": _metrics, "datasets": _datasets, "judges": _judges}[what]()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*(rows[0] if rows else ["id"]), box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(str(v) for v in row.values()))
    # A pipe has no width: cells broken over lines could not be searched, so they get as much as they need.
    Console(width=None if sys.stdout.isatty() else 240, highlight=False).print(table)


def _missing(names: Iterable[str], parameters: Sequence[str] = ()) -> str:
    """What stands between here and a number: weights that are not on this machine, parameters without a default."""
    lacks = [n for n in names if not weights.available(n)]
    wants = [f"weights: {', '.join(lacks)}"] if lacks else []
    if parameters:
        wants.append(f"parameter{'s' if len(parameters) > 1 else ''}: {', '.join(parameters)}")
    return f"needs {'; '.join(wants)}" if wants else "yes"


def _parameters(spec: MethodSpec) -> list[str]:
    return [name for name, info in spec.params.model_fields.items() if info.is_required()]


def _methods() -> list[dict[str, Any]]:
    rows = []
    for name in registry.names("methods"):
        try:
            spec = registry.load("methods", name).spec
        except LipbenchError as error:
            rows.append({"id": name, "title": "", "kind": "", "licence": "", "runs here": error.one_line()})
            continue
        rows.append({"id": name, "title": spec.title, "kind": spec.kind, "licence": spec.licence,
                     "runs here": _missing(spec.weights, _parameters(spec))})  # fmt: skip
    return rows


def _metrics() -> list[dict[str, Any]]:
    return [
        {"id": m.id, "title": m.title, "unit": m.unit, "better": m.better, "family": name,
         "needs": ", ".join(sorted(m.needs)), "runs here": _missing(m.weights)}
        for name in registry.names("metrics") for m in registry.load("metrics", name).metrics
    ]  # fmt: skip


def _datasets() -> list[dict[str, Any]]:
    return [{"id": name, "from": origin} for name, origin in registry.sources("datasets").items()]


def _judges() -> list[dict[str, Any]]:
    from lipbench.metrics.sync.judges import judges

    return [{"id": j.name, "description": j.description, "runs here": _missing([j.weights])} for j in judges()]
