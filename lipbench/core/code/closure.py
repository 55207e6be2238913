"""All code that a stage depends on: its module, what that imports, what those import, and so on.

What is followed: everything within lipbench, and within the top-level package of the module that was asked for. Not
followed: other packages (their versions are recorded with each result, and are no part of a key), and what stands in
`NEVER`, because it cannot change a pixel or a number.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

from lipbench.core.code import narrow, scan, syntax
from lipbench.core.code.cache import FileCache, own_version
from lipbench.core.code.places import Places
from lipbench.core.code.scan import Facts
from lipbench.core.errors import UsageError
from lipbench.core.system import cache_folder

#: Modules of lipbench that are in no closure, nor what they import.
NEVER = frozenset(
    {
        "lipbench",  # the version, and access to the folders by name
        "lipbench.core.code",  # this package
        "lipbench.core.devices",  # where to compute is no part of a key
        "lipbench.core.contract",  # refuses what keeps no contract
        "lipbench.core.errors",  # the words of refusals
        "lipbench.core.keys",  # its meaning has a version of its own, KEY_VERSION
        "lipbench.core.provenance",  # records, decides nothing
        "lipbench.core.registry",  # finds the methods and metrics whose code is asked for by name here
        "lipbench.core.specs",  # finds the spec modules
        "lipbench.core.store",  # moves finished files
        "lipbench.core.system",  # processes and their memory
        "lipbench.core.threads",  # how many threads compute is no part of a key
        "lipbench.core.weights",  # weights are in keys by the hash of their content
        "lipbench.core.weights.archives",
        "lipbench.core.weights.checks",
        "lipbench.core.weights.download",
        "lipbench.core.weights.entries",
        "lipbench.core.weights.fetch",
        "lipbench.core.weights.files",
        "lipbench.core.weights.named",
        "lipbench.core.weights.opening",  # refuses files
        "lipbench.core.atomic",  # a file is there whole or not at all
        "lipbench.engine.rows",  # finds the method; its code is asked for by name
    }
)


@dataclass(frozen=True)
class Code:
    """A closure.

    Attributes:
        digest: 64 hex digits: its hash; what goes into a key.
        modules: module name (or "package/file" for a data file) -> 16 hex digits of its own hash, sorted.
    """

    digest: str
    modules: Mapping[str, str]


_current: list[Sources] = []


def current() -> Sources:
    """The code as the last plan of this process saw it."""
    return _current[0] if _current else renew()


def renew() -> Sources:
    """Look at every file again from now on; called for each new plan."""
    _current[:] = [Sources()]
    return _current[0]


def cache_file() -> Path:
    """Where facts about files are kept: code.json in $XDG_CACHE_HOME/lipbench, else in ~/.cache/lipbench."""
    return cache_folder() / "lipbench" / "code.json"


@cache
def _cache_at(path: Path) -> FileCache:
    return FileCache(path, own_version(*(str(module.__file__) for module in (syntax, scan, narrow))))


@dataclass(frozen=True)
class _Node:
    """A module, or a part of one: hashes of itself and of its data files, and the modules it needs."""

    hashes: Mapping[str, str]
    needs: tuple[str, ...]


class Sources:
    """The code of this moment: every file is looked at once, so make a new one for a new plan."""

    def __init__(self) -> None:
        self._files = _cache_at(cache_file())
        self._places = Places()
        self._whole: dict[str, Facts] = {}
        self._nodes: dict[tuple[str, str, frozenset[str]], _Node] = {}
        self._targets: dict[str, tuple[str, ...]] = {}
        self._codes: dict[tuple[tuple[str, ...], frozenset[str]], Code] = {}

    def code(self, *roots: str, skip: frozenset[str] = frozenset()) -> Code:
        """The closure of modules, or of parts of modules.

        Args:
            roots: "package.module", "package.module:name" or "package.module:Class.method".
            skip: modules that are not followed because the caller counts them on its own; "package.module:name"
                leaves out a name of a root's module.

        Raises:
            UsageError: a root cannot be found, or the source of a module cannot be read.
        """
        if (roots, skip) not in self._codes:
            self._codes[roots, skip] = self._code(roots, skip)
            self._files.save()
        return self._codes[roots, skip]

    @property
    def codes(self) -> Mapping[str, Code]:
        """All closures that were asked for, by digest."""
        return {code.digest: code for code in self._codes.values()}

    def _code(self, roots: tuple[str, ...], skip: frozenset[str]) -> Code:
        hashes: dict[str, str] = {}
        seen: set[str] = set()
        waiting = list(roots)
        while waiting:
            name = waiting.pop()
            module, _, part = name.partition(":")
            if name in seen or module in NEVER or module in skip:
                continue
            seen.add(name)
            left_out = frozenset(n.partition(":")[2] for n in skip if part and n.startswith(f"{module}:"))
            node = self._node(module, part, left_out)
            hashes.update(node.hashes)
            waiting.extend(node.needs)
        modules = dict(sorted(hashes.items()))
        text = "".join(f"{name} {digest}\n" for name, digest in modules.items())
        return Code(hashlib.sha256(text.encode()).hexdigest(), modules)

    # ---- one module -------------------------------------------------------------------------------------------

    def _node(self, module: str, part: str, left_out: frozenset[str]) -> _Node:
        key = (module, part, left_out)
        if key not in self._nodes:
            self._nodes[key] = self._make(module, part, left_out)
        return self._nodes[key]

    def _make(self, module: str, part: str, left_out: frozenset[str]) -> _Node:
        place = self._places.find(module)
        if place is None:
            raise UsageError(
                f"cannot find the source of {module}",
                "a stage's key holds the code that makes it, and this module has no file",
                "put the code into a module that Python can import",
            )
        if place.file is None:
            return _Node({}, ())
        if part and self._module(module).dynamic and part.partition(".")[0] not in self._module(module).names:
            return _Node({}, (module, *self._led_through(f"{module}.{part}")))
        facts = self._facts(module, part, left_out) if part else self._module(module)
        hashes = {f"{module}:{part}" if part else module: facts.digest[:16]}
        names = [*facts.references, *(name for name in facts.strings if self._places.find(name) is not None)]
        needs = dict.fromkeys(target for name in names for target in self._led_through(name))
        needs |= dict.fromkeys(self._led_through(module.rpartition(".")[0]))
        home = module if place.folders else module.rpartition(".")[0]
        folders = {home: os.path.dirname(place.file)}
        for name in facts.strings:  # importlib.resources.files("package") / "file"
            other = self._places.find(name)
            folders |= {name: other.folders[0]} if other is not None and other.folders else {}
        for (package, folder), file in product(folders.items(), facts.files):
            path = self._beside(folder, file)
            if path is not None and file.endswith(".py"):  # a program to start
                needs[".".join([package, *file[:-3].split("/")]).lstrip(".")] = None
            elif path is not None:
                hashes[f"{package}/{file}"] = self._files.get(path, "bytes", _sha256)[:16]
        return _Node(hashes, tuple(needs))

    def _beside(self, folder: str, file: str) -> str | None:
        """The path of a file that a string of a module in `folder` names, if it lies there."""
        if ".." in file or ("/" not in file and file not in self._places.listing(folder)):
            return None
        path = os.path.join(folder, file)
        return path if os.path.isfile(path) else None

    def _led_through(self, dotted: str) -> tuple[str, ...]:
        """Every module that a dotted name leads through, in the end to where the name comes from."""
        if dotted not in self._targets:
            self._targets[dotted] = ()  # against names that lead to each other
            self._targets[dotted] = tuple(self._resolve(dotted))
        return self._targets[dotted]

    def _resolve(self, dotted: str) -> Iterator[str]:
        current, *rest = dotted.split(".")
        if self._places.find(current) is None:
            return
        yield current
        for name in rest:
            below = f"{current}.{name}"
            if self._places.find(below) is None:
                yield from self._attribute(current, name)
                return
            yield below
            current = below

    def _attribute(self, module: str, name: str) -> Iterator[str]:
        """A name of a module that is no module itself: where it comes from, when it loads on first use."""
        place = self._places.find(module)
        if place is None or place.file is None or not place.folders:
            return
        facts = self._module(module)
        if name in facts.homes:
            yield from self._led_through(facts.homes[name])
        elif facts.dynamic and name not in facts.names:
            # It cannot be told where: everything that lies beside it.
            for folder in place.folders:
                names = sorted({n.removesuffix(".py") for n in self._places.listing(folder)} - {"__init__"})
                yield from (f"{module}.{n}" for n in names if self._places.find(f"{module}.{n}"))

    def _module(self, module: str) -> Facts:
        if module not in self._whole:
            facts = self._facts(module)
            if facts.dynamic and (stub := self._stub(module)) is not None:
                facts = replace(facts, homes=facts.homes | stub)
            self._whole[module] = facts
        return self._whole[module]

    def _stub(self, module: str) -> dict[str, str] | None:
        """What the `__init__.pyi` beside a package tells, as `lazy_loader.attach_stub` reads it."""
        place = self._places.find(module)
        if place is None or place.file is None or not place.folders:
            return None
        if "__init__.pyi" not in self._places.listing(place.folders[0]):
            return None
        stub = os.path.join(place.folders[0], "__init__.pyi")
        try:
            return dict(self._files.get(stub, module, lambda source: scan.stub_homes(source, module)))
        except (OSError, SyntaxError) as error:
            raise UsageError(
                f"cannot read which names {module} loads on first use",
                f"{type(error).__name__}: {error}",
                f"look at {stub}: a stage's key holds the code behind these names",
            ) from error

    def _facts(self, module: str, part: str = "", skip: frozenset[str] = frozenset()) -> Facts:
        place = self._places.find(module)
        assert place is not None
        assert place.file is not None
        package = bool(place.folders)

        def make(source: bytes) -> object:
            if not str(place.file).endswith(".py"):  # compiled: its bytes
                return asdict(Facts(_sha256(source)))
            return asdict(scan.scan(source, module, package, part, skip))

        try:
            return Facts(**self._files.get(place.file, " ".join([module, part, *sorted(skip)]), make))
        except (OSError, SyntaxError, KeyError) as error:
            raise UsageError(
                f"cannot read the code of {module}{':' * bool(part)}{part}",
                f"{type(error).__name__}: {error}",
                f"look at {place.file}: a stage's key holds the code that makes it",
            ) from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
