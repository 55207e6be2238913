"""The rows of a run's table (methods with validated parameters) and its columns (metric families with options)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lipbench.core import registry
from lipbench.core.errors import UsageError
from lipbench.core.method import Method
from lipbench.core.metric import MetricFamily
from lipbench.engine.config import MethodEntry, RunFile


@dataclass(frozen=True)
class Row:
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
    """The method behind `Row.source`: a registered one or an external file."""
    if source.get("file"):
        from lipbench.baselines.external import load_external

        return load_external(Path(source["file"]))
    method: Method = registry.load("methods", source["id"])
    return method


def rows(config: RunFile, base: Path) -> list[Row]:
    """Resolve the run file's methods.

    Raises:
        UsageError: unknown method or wrong parameters, naming the parameter.
    """
    return [row(entry, base) for entry in config.methods]


def row(entry: MethodEntry, base: Path) -> Row:
    """One of them.

    Args:
        base: folder that relative paths among the parameters start from.

    Raises:
        UsageError: as `rows`.
    """
    file = None if entry.file is None else str((base / entry.file).resolve())
    method = load_method({"id": entry.id, "file": file})
    label = entry.label or method.spec.id
    try:
        params = method.spec.params.model_validate(_resolve_paths(method, entry.params, base))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"])
        known = ", ".join(method.spec.params.model_fields) or "it takes none"
        raise UsageError(
            f"method {label}: parameter {where}: {first['msg']}", f"got {first['input']!r}"[:200], f"known: {known}"
        ) from error
    return Row(label, method, params, entry, base)


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


def families(config: RunFile) -> list[tuple[MetricFamily, dict[str, Any]]]:
    """The metric families of a run with the options that each one gets."""
    known = registry.names("metrics")
    chosen = set(known)
    if config.metrics:
        chosen = set(config.metrics) & set(known)
        loose = set(config.metrics) - chosen  # ids of single metrics: their families must be looked through
        if loose:
            ids = {m.id: name for name in known for m in registry.load("metrics", name).metrics}
            for wanted in config.metrics:
                if wanted in loose and wanted not in ids:
                    raise registry.unknown("metrics", wanted, [*ids, *known])
            chosen |= {ids[wanted] for wanted in loose}
    sync = {"judge": config.judge, "protocol": config.protocol, **config.sync}
    return [(registry.load("metrics", name), sync if name == "sync" else {}) for name in known if name in chosen]
