"""What one module says about what it needs: imports, files beside it, names that load on first use.

Imports count wherever they stand: at the top, in a function, as `importlib.import_module("a.b")`, or as a string that
is a module's whole name (a program to start). Imports by a computed name cannot be seen.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from lipbench.core.code.narrow import bound_names, narrowed
from lipbench.core.code.syntax import is_text, is_type_checking, syntax_hash

_FILE = re.compile(r"[\w-][\w./-]*\.[A-Za-z]\w{0,9}")
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True)
class Facts:
    """What is known about a module's source, or about a part of it.

    Attributes:
        digest: hash of its syntax.
        references: dotted names it uses of lipbench or of its own top-level package, e.g. "lipbench.media.probe".
        strings: those that may be a module's whole name.
        files: strings that may name a file, relative to the module's folder.
        dynamic: it has a `__getattr__`; then `names` are what its top level binds, and `homes` the names that only
            type checkers see there -> where they come from: those load on first use. A package may name them in
            its `__init__.pyi` instead: see `stub_homes`.
    """

    digest: str
    references: tuple[str, ...] = ()
    strings: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    dynamic: bool = False
    names: tuple[str, ...] = ()
    homes: dict[str, str] = field(default_factory=dict)


def scan(source: str | bytes, module: str, package: bool, part: str = "", skip: frozenset[str] = frozenset()) -> Facts:
    """Read a module.

    Args:
        source: its text.
        module: its dotted name.
        package: whether it is an `__init__.py`.
        part: "" for all of it, else a top-level name or "Class.method": that, and what it uses of the module.
        skip: top-level names that `part` does without although it mentions them.

    Raises:
        SyntaxError: this Python cannot read it.
        KeyError: there is no such part.
    """
    tree = ast.parse(source)
    home = module if package else module.rpartition(".")[0]
    body: Sequence[ast.stmt] = narrowed(tree.body, part, skip) if part else tree.body
    nodes = list(_running(body))
    references, aliases = _imports(nodes, home)
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    references |= _uses(nodes, aliases)
    texts |= set(_joined(nodes))
    tops = {"lipbench", module.partition(".")[0]}
    names = {name for statement in tree.body for name in bound_names(statement)}
    dynamic = "__getattr__" in names
    return Facts(
        syntax_hash(body),
        tuple(sorted(name for name in references if name.partition(".")[0] in tops)),
        tuple(sorted(text for text in texts if _MODULE.fullmatch(text) and text.partition(".")[0] in tops)),
        tuple(sorted(text for text in texts if _FILE.fullmatch(text))),
        dynamic,
        tuple(sorted(names)) if dynamic else (),
        _homes(tree, home) if dynamic else {},
    )


def _running(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of code that can run."""
    waiting = list(body)
    while waiting:
        node = waiting.pop()
        if is_text(node):
            continue
        yield node
        waiting.extend(node.orelse if is_type_checking(node) else ast.iter_child_nodes(node))  # type: ignore[attr-defined]


def _joined(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Paths in pieces: `FOLDER / "data" / "x.npz"`, `.joinpath("data", "x.npz")`, `os.path.join(f, "data", "x")`."""
    for node in nodes:
        pieces: list[ast.AST] = []
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            inner: ast.AST = node
            while isinstance(inner, ast.BinOp):
                pieces.insert(0, inner.right)
                inner = inner.left
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("joinpath", "join"):
            pieces = list(node.args)
        texts: list[str] = []
        for piece in pieces:
            known = isinstance(piece, ast.Constant) and isinstance(piece.value, str)
            texts = [*texts, str(piece.value)] if known else []  # type: ignore[attr-defined]
        if len(texts) > 1:
            yield "/".join(texts)


def _imports(nodes: Iterable[ast.AST], home: str) -> tuple[set[str], dict[str, str]]:
    """Dotted names that are imported, and local names -> what they stand for.

    Args:
        home: the package that relative imports start from.
    """
    references: set[str] = set()
    aliases: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for name in node.names:
                top = name.name.partition(".")[0]
                aliases[name.asname or top] = name.name if name.asname else top
                references.add(name.name)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), home)
            for name in node.names:
                dotted = base if name.name == "*" else f"{base}.{name.name}"
                aliases[name.asname or name.name] = dotted
                references.add(dotted)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("import_module", "__import__") and isinstance(node.args[0].value, str):
                references.add(_absolute(node.args[0].value, home))
    return references, aliases


def _absolute(name: str, home: str) -> str:
    level = len(name) - len(name.lstrip("."))
    if not level:
        return name
    base = home.rsplit(".", level - 1)[0] if level > 1 else home
    return f"{base}.{name[level:]}".rstrip(".")


def _uses(nodes: Iterable[ast.AST], aliases: dict[str, str]) -> set[str]:
    """Dotted names of what is used of imported modules: `media.probe(...)` -> "lipbench.media.probe"."""
    found = set()
    for node in nodes:
        chain: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if chain and isinstance(inner, ast.Name) and inner.id in aliases:
            found.add(".".join([aliases[inner.id], *reversed(chain)]))
    return found


def _homes(tree: ast.Module, home: str) -> dict[str, str]:
    """Names that the blocks for type checkers import -> their dotted names."""
    blocks = [node for statement in tree.body if is_type_checking(statement) for node in ast.walk(statement)]
    return _imports(blocks, home)[1]


def stub_homes(source: str | bytes, package: str) -> dict[str, str]:
    """Names that a package's `__init__.pyi` imports -> their dotted names.

    Raises:
        SyntaxError: this Python cannot read it.
    """
    return _imports(ast.walk(ast.parse(source)), package)[1]
