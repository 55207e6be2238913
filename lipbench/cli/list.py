"""lipbench list: what there is and what can run here."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from lipbench.baselines.external.checkout import doctor
from lipbench.cli.renames import Names
from lipbench.core import registry, weights
from lipbench.core.errors import LipbenchError
from lipbench.metrics.sync.models import sync_models

if TYPE_CHECKING:
    from lipbench.core.method import MethodSpec
    from lipbench.core.metric import MetricSpec


KINDS = ("methods", "metrics", "datasets", "sync-models", "trainers", "recipes")


@click.command(name="list")
@click.argument("what", type=Names(KINDS, {"judges": "sync-models"}))
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
def main(what: str, patterns: tuple[str, ...], as_json: bool) -> None:
    """List methods, metrics, data sets, sync models, trainers or recipes; what each needs, and whether it runs here.

    Patterns such as 'csim*' keep the ids that they fit; of metrics, families too.
    """
    rows = {
        "methods": _methods,
        "metrics": _metrics,
        "datasets": _datasets,
        "sync-models": _sync_models,
        "trainers": _trainers,
        "recipes": _recipes,
    }[what]()
    if patterns:
        rows = [row for row in rows if any(_fits(row, pattern) for pattern in patterns)]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    from rich.console import Console
    from rich.table import Table

    shown = [{k: v for k, v in row.items() if k != "how"} for row in rows]
    table = Table(*(shown[0] if shown else ["id"]), box=None, padding=(0, 2, 0, 0))
    for row in shown:
        table.add_row(*(str(v) for v in row.values()))
    # A pipe has no width: cells broken over lines could not be searched, so they get as much as they need.
    Console(width=None if sys.stdout.isatty() else 240, highlight=False).print(table)
    lacking = list(dict.fromkeys((row.get("family", row["id"]), line) for row in rows for line in row.get("how", ())))
    if lacking:
        click.echo("\nhow to get what is missing:")
    for name, line in lacking:
        click.echo(f"  {name}: {line}")


def _fits(row: Mapping[str, Any], pattern: str) -> bool:
    return any(fnmatchcase(str(row[key]), pattern) for key in ("id", "family") if key in row)


def _missing(names: Iterable[str], parameters: Sequence[str] = ()) -> str:
    """What stands between here and a number: weights that are not on this machine, parameters without a default."""
    lacks = [n for n in names if not weights.available(n)]
    wants = [f"weights: {', '.join(lacks)}"] if lacks else []
    if parameters:
        wants.append(f"parameter{'s' if len(parameters) > 1 else ''}: {', '.join(parameters)}")
    return f"needs {'; '.join(wants)}" if wants else "yes"


def _lacking(found: Mapping[str, LipbenchError]) -> str:
    """The same of a metric's obstacles: its weights, and whatever else stands in the way."""
    names = [name for name in found if name in weights.registry()]
    wants = [f"weights: {', '.join(names)}"] if names else []
    wants += [name for name in found if name not in names]
    return f"needs {'; '.join(wants)}" if wants else "yes"


def _parameters(spec: MethodSpec) -> list[str]:
    return [name for name, info in spec.params.model_fields.items() if info.is_required()]


def what_it_lacks(name: str) -> tuple[MethodSpec, str, list[str]]:
    """A method's spec; "yes" or what stands between here and a video; and one line on how to get each thing.

    Only methods in environments of their own are loaded; of the others the spec says everything.

    Raises:
        UnknownName, UsageError: there is no such method, or it cannot be loaded.
    """
    spec = registry.method_spec(name)
    if not spec.implementation:
        method = registry.load("methods", name)
        located = getattr(method, "located", None)
        if method.own_environment and located is not None:
            return spec, *external_needs(located)
    answer = _missing(spec.weights, _parameters(spec))
    how = [weights.entry(n).how for n in spec.weights if not weights.available(n)]
    if how and spec.demo:
        given = " ".join(f"-p {key}={value}" for key, value in spec.demo.items())
        how.insert(0, f"`{given}` runs with the packaged demo weights")
    return spec, answer, list(dict.fromkeys(how)) + [f"`-p {n}=...`" for n in _parameters(spec)]


def external_needs(located: Any) -> tuple[str, list[str]]:
    """The same of a method file: its checkout, its environment, its weights."""
    lacks = [f for f in doctor(located) if not f.ok]
    if not lacks:
        return "yes", []
    if lacks[0].reason == "repo_missing":  # without the code there is nothing else to look at
        repo = located.definition.repo
        commit = f" && git -C {located.repo} checkout {repo.commit}" if repo.commit else ""
        steps = f"git clone {repo.url} {located.repo}{commit}, then its environment and weights as its README says"
        return "external, not installed", [steps if repo.url else lacks[0].message]
    return f"external, needs {', '.join(f.what for f in lacks)}", [f.message for f in lacks]


def _methods() -> list[dict[str, Any]]:
    rows = []
    for name in registry.names("methods"):
        try:
            spec, answer, how = what_it_lacks(name)
        except LipbenchError as error:
            rows.append({"id": name, "title": "", "kind": "", "licence": "", "runs here": error.one_line(), "how": []})
            continue
        rows.append(
            {
                "id": name,
                "title": spec.title,
                "kind": spec.kind,
                "licence": spec.licence,
                "runs here": answer,
                "how": how,
            }
        )
    return sorted(rows, key=lambda row: row["kind"] != "control")  # controls first, else as registered


def _metrics() -> list[dict[str, Any]]:
    """Whether they run is true of their default options: another sync model may be here where the default is not."""
    from lipbench.engine.preflight import TRACKS, faces_weights, missing

    families = {name: registry.load("metrics", name) for name in registry.names("metrics")}
    defaults = {name: family.options.model_construct().model_dump(mode="json") for name, family in families.items()}

    obstacles = {name: family.obstacles(defaults[name]) for name, family in families.items()}
    faces = missing(faces_weights("mediapipe-face"))

    def lacks(name: str, metric: MetricSpec) -> dict[str, LipbenchError]:
        tracks = metric.needs & families[name].needs(defaults[name]) & TRACKS
        own = {what: error for what, error in obstacles[name].items() if families[name].hinders(what, metric)}
        return {**own, **(faces if tracks else {})}

    return [
        {
            "id": m.id,
            "title": m.title,
            "unit": m.unit,
            "better": m.better,
            "family": name,
            "needs": ", ".join(sorted(m.needs)),
            "runs here": _lacking(lacks(name, m)),
            "how": [error.fix for error in lacks(name, m).values()],
        }
        for name, family in families.items()
        for m in family.metrics
    ]


def _datasets() -> list[dict[str, Any]]:
    return [{"id": name, "from": origin} for name, origin in registry.sources("datasets").items()]


def _trainers() -> list[dict[str, Any]]:
    return [{"id": name, "from": origin} for name, origin in registry.sources("trainers").items()]


def _sync_models() -> list[dict[str, Any]]:
    return [{"id": j.name, "description": j.description, "runs here": _missing([j.weights])} for j in sync_models()]


def _recipes() -> list[dict[str, Any]]:
    from lipbench.metrics import recipes

    return [
        {"id": r.id, "title": r.title, "prints": ", ".join(p.name for p in r.prints), "metrics": ", ".join(r.metrics)}
        for r in map(recipes.load, recipes.names())
    ]
