"""Names -> methods, metric families, data sets, trainers: what stands in `spec` modules and entry points.

A plug-in package declares, for example

    [project.entry-points."lipbench.specs"]
    my-package = "my_package.spec"

(see `lipbench.core.specs`), or names one class

    [project.entry-points."lipbench.methods"]
    my-method = "my_package.adapter:MyMethod"

and `lipbench list methods` shows it. Two packages that claim one name are an error that names both.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from lipbench.core import renames, specs, weights
from lipbench.core.contract import broken, checked_family, checked_method, spec_faults
from lipbench.core.errors import UnknownName, UsageError
from lipbench.core.method import Method, MethodSpec

#: Kind -> name of the table in a spec module that says "module:attribute".
TABLES = {"methods": "METHOD_FACTORIES", "metrics": "METRICS", "datasets": "DATASETS", "trainers": "TRAINERS"}


@cache
def sources(kind: str) -> dict[str, str]:
    """Every known name of a kind ("methods", "metrics", "datasets", "trainers") with its "module:attribute".

    Nothing that a name leads to is imported.

    Raises:
        UsageError: two sources claim one name.
    """
    found: dict[str, str] = {}
    origins: dict[str, str] = {}
    for name, source, origin in _claims(kind):
        if name in found:
            raise UsageError(
                f"two {kind} are called {name!r}",
                f"one comes from {origins[name]}, one from {origin}",
                f"uninstall one of them or rename it in its spec module or its entry point in lipbench.{kind}",
            )
        found[name], origins[name] = source, origin
    return found


def _claims(kind: str) -> Iterator[tuple[str, str, str]]:
    """(name, "module:attribute", where it comes from), built-in ones first."""
    if kind == "methods":
        for origin, methods in specs.tables("METHODS"):
            for spec in methods:
                yield spec.id, spec.implementation, origin
    for origin, table in specs.tables(TABLES[kind]):
        for name, source in table.items():
            yield name, source, origin
    for point in entry_points(group=f"lipbench.{kind}"):
        yield point.name, point.value, point.dist.name if point.dist else point.value


def refresh() -> None:
    """Look again at what is installed: for a package that came or went while this process ran."""
    for cached in (specs.modules, sources, former_names, method_spec, load, weights.registry):
        cached.cache_clear()


def names(kind: str) -> list[str]:
    """All known names of a kind, built-ins first."""
    return list(sources(kind))


@cache
def former_names() -> Mapping[str, str]:
    """Former id of a method -> its present one, as far as spec modules know."""
    return {old: spec.id for _, methods in specs.tables("METHODS") for spec in methods for old in spec.former_ids}


def present(name: str) -> str:
    """A method's present id, with a warning where `name` is a former one; `name` itself when it is neither."""
    if name in former_names() and name not in sources("methods"):
        renames.warn("the method", name, former_names()[name])
        return former_names()[name]
    return name


def unknown(kind: str, name: str, known: list[str]) -> UnknownName:
    """The error for a name that does not exist, with the nearest ones."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return UnknownName(
        f"there is no {kind.rstrip('s')} called {name!r}",
        f"known: {', '.join(sorted(known)) or 'none'}",
        f"did you mean {' or '.join(near)}?" if near else f"`lipbench list {kind}` shows them",
    )


@cache
def method_spec(name: str) -> MethodSpec:
    """The spec of a method; its class is imported only when the spec stands nowhere else.

    Raises:
        UnknownName, UsageError: as `load`.
    """
    for origin, methods in specs.tables("METHODS"):
        for spec in methods:
            if spec.id == name:
                if wrong := next(spec_faults(spec, name), None):
                    raise broken(name, origin, wrong)
                return spec  # type: ignore[no-any-return]
    found: MethodSpec = load("methods", name).spec
    return found


@cache
def load(kind: str, name: str) -> Any:
    """An instance of the named method or metric family; what the named data set or trainer leads to.

    Raises:
        UnknownName: with the nearest known names.
        UsageError: the plug-in cannot be imported, or does not keep its contract.
    """
    known = sources(kind)
    if kind == "methods":
        name = present(name)
    if name not in known:
        raise unknown(kind, name, list(known))
    found = _attribute(known[name], kind, name)
    if kind == "methods":
        return _agreeing(checked_method(found, name, known[name]), name, known[name])
    if kind == "metrics":
        return checked_family(found, name, known[name])
    return found() if callable(found) and kind != "trainers" else found


def _agreeing(method: Method, name: str, source: str) -> Method:
    """The method, whose spec is the one that was listed."""
    listed = (spec for _, methods in specs.tables("METHODS") for spec in methods if spec.id == name)
    if any(spec != method.spec for spec in listed):
        raise broken(name, source, "its class has another spec than its spec module lists")
    return method


def _attribute(source: str, kind: str, name: str) -> Any:
    module, _, attribute = source.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"cannot load the {kind.rstrip('s')} {name!r} from {source or 'nowhere'}",
            f"{type(error).__name__}: {error}",
            "reinstall the package that provides it, or leave it out of the run",
        ) from error
