"""The rows of a run's table (methods with validated parameters) and its columns (metric families with options)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from lipbench.core import registry
from lipbench.core.document import of_mapping
from lipbench.core.errors import UsageError
from lipbench.core.fields import validate
from lipbench.core.method import Method
from lipbench.core.metric import MetricFamily
from lipbench.engine.config import MethodEntry, MetricEntry, RunFile


@dataclass(frozen=True)
class MethodRow:
    """A method with validated parameters, as one row of the table."""

    label: str
    method: Method
    params: Any
    entry: MethodEntry
    base: Path

    @property
    def source(self) -> dict[str, Any]:
        """How a worker finds this method again."""
        file = None if self.entry.file is None else str((self.base / self.entry.file).resolve())
        return {"id": self.entry.id, "file": file, "params": self.params.model_dump(mode="json")}


def load_method(source: Mapping[str, Any]) -> Method:
    """The method behind `MethodRow.source`: a registered one or an external file."""
    if source.get("file"):
        from lipbench.baselines.external import load_external

        return load_external(Path(source["file"]))
    method: Method = registry.load("methods", source["id"])
    return method


def rows(config: RunFile, base: Path) -> list[MethodRow]:
    """Resolve the run file's methods.

    Raises:
        UsageError: unknown method or wrong parameters, naming the parameter.
    """
    return [row(entry, base) for entry in config.methods]


def row(entry: MethodEntry, base: Path) -> MethodRow:
    """One of them.

    Args:
        base: folder that relative paths among the parameters start from.

    Raises:
        UsageError: as `rows`.
    """
    file = None if entry.file is None else str((base / entry.file).resolve())
    method = load_method({"id": entry.id, "file": file})
    label = entry.label or method.spec.id
    given = of_mapping(_resolve_paths(method, entry.params, base), f"method {label}")
    params, problems = validate(method.spec.params, given)
    if params is None:
        first = problems[0]
        known = ", ".join(method.spec.params.model_fields) or "it takes none"
        raise UsageError(
            f"method {label}: parameter {first.field + ': ' if first.field else ''}{first.message}",
            f"found {first.found}" if first.found else "",
            first.hint if first.hint and not first.general else f"known: {known}",
        )
    return MethodRow(label, method, params, entry, base)


def _resolve_paths(method: Method, params: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Path parameters (fields marked json_schema_extra={"path": True}) are relative to the run file."""
    resolved = dict(params)
    for name, info in method.spec.params.model_fields.items():
        extra = info.json_schema_extra
        value = resolved.get(name)
        if not (isinstance(extra, dict) and extra.get("path")):
            continue
        if isinstance(value, str):
            resolved[name] = _resolved(value, base)
        elif isinstance(value, (list, tuple)):
            resolved[name] = [_resolved(v, base) if isinstance(v, str) else v for v in value]
    return resolved


def _resolved(path: str, base: Path) -> str:
    return str((base / Path(path).expanduser()).resolve())


#: A metric family with the values of its options.
Measured = tuple[MetricFamily, dict[str, Any]]


def families(config: RunFile, options: Mapping[str, Mapping[str, Any]] | None = None) -> list[Measured]:
    """The metric families of a run with the options that each one gets, defaults filled in.

    Args:
        options: family -> values beside those of the run file.

    Raises:
        UnknownName: an entry of `metrics` that no family or metric is called like, or options of no family.
        UsageError: wrong options, two values for one, or options of a family that is not measured.
    """
    given: dict[str, dict[str, Any]] = {"sync": dict(config.sync)}
    for family, params in (options or {}).items():
        _give(given, family, params)
    for name in ("sync_model", "protocol"):
        if name in config.model_fields_set:
            _give(given, "sync", {name: getattr(config, name)})
    chosen = set() if config.metrics else {name for name in registry.names("metrics") if not _on_request(name)}
    for entry in config.metrics:
        for family in _meant(entry):
            chosen.add(family)
            _give(given, family, entry.params)
    for family in options or {}:
        if family not in registry.names("metrics"):
            raise registry.unknown("metrics", family, registry.names("metrics"))
        if family not in chosen:
            raise UsageError(f"{family} has options but is not measured", "", f"add --metric {family}")
    measured = []
    for name in registry.names("metrics"):
        if name in chosen:
            family = registry.load("metrics", name)
            measured.append((family, family.parse(given.get(name, {})).model_dump(mode="json")))
    return measured


def narrowed(config: RunFile, wanted: Sequence[str]) -> list[MetricEntry]:
    """Other metrics for a run, measured with the options that its run file gives to their families."""
    params: dict[str, dict[str, Any]] = {}
    for entry in config.metrics:
        for family in _meant(entry):
            _give(params, family, entry.params)
    ids = {m.id: name for name in registry.names("metrics") for m in registry.load("metrics", name).metrics}
    entries = []
    for text in wanted:
        entry = MetricEntry(id=text)
        for family in _meant(entry):
            names = (
                [family] if fnmatchcase(family, text) else [i for i in ids if ids[i] == family and entry.asks("", i)]
            )
            entries += [MetricEntry(id=name, params=params.get(family, {})) for name in names]
    return entries


def _meant(entry: MetricEntry) -> list[str]:
    """The families that an entry names, by themselves or by one of their metrics."""
    known = registry.names("metrics")
    if entry.id in known:
        return [entry.id]
    ids = {name: [m.id for m in registry.load("metrics", name).metrics] for name in known}
    meant = [name for name in known if any(entry.asks(name, metric) for metric in ids[name])]
    # `lpips_*` means LPIPS and not its slow sister, which `lpips_vgg_*` means.
    meant = [name for name in meant if not _on_request(name)] or meant
    if not meant:
        raise registry.unknown("metrics", entry.id, [*(metric for name in known for metric in ids[name]), *known])
    return meant


def _on_request(family: str) -> bool:
    return bool(registry.load("metrics", family).on_request)


def _give(given: dict[str, dict[str, Any]], family: str, params: Mapping[str, Any]) -> None:
    own = given.setdefault(family, {})
    for name, value in params.items():
        if own.setdefault(name, value) != value:
            raise UsageError(
                f"the {family} option {name!r} is given twice",
                f"once as {own[name]!r}, once as {value!r}; a run measures a family in one way",
                "keep one of them; `sync_model`, `protocol` and `sync` of the run file are options of the family sync",
            )
