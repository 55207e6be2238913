"""No two modules of the package import each other, directly or through others, at any level of the code.

What only type checkers read (`if TYPE_CHECKING:`) is not an import. A package's `__init__` that hands out names of its
modules by `lazy_loader` imports nothing when it is read; who takes a name through it depends on the module that the
name lives in, so `from package import Name` counts as an import of that module, as the package's stub tells.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lipbench

ROOT = Path(lipbench.__file__).parent
Graph = dict[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Dotted name -> file; a package is named by its folder."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def is_for_types(node: ast.AST) -> bool:
    """Whether the block is read by type checkers alone."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def statements(node: ast.AST) -> list[ast.AST]:
    """All nodes below, inside functions too, without those for type checkers."""
    below: list[ast.AST] = []
    for child in ast.iter_child_nodes(node):
        if is_for_types(child):
            below += [x for other in child.orelse for x in (other, *statements(other))]
        else:
            below += [child, *statements(child)]
    return below


def homes(name: str, init: Path) -> dict[str, str]:
    """What a package hands out lazily: name -> module it lives in."""
    stub = init.with_suffix(".pyi")
    if init.name != "__init__.py" or not stub.exists():
        return {}
    froms = [node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom) and node.module]
    return {alias.name: f"{name}.{node.module}" for node in froms for alias in node.names}


def imports(root: Path) -> Graph:
    """Module -> modules of the same package that it imports, at module level or inside a function."""
    files = modules(root)
    trees = {name: ast.parse(path.read_text()) for name, path in files.items()}
    lazy = {name: homes(name, path) for name, path in files.items()}
    graph: Graph = {}
    for name, tree in trees.items():
        wanted: set[str] = set()
        for node in statements(tree):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                package = name if files[name].name == "__init__.py" else name.rpartition(".")[0]
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    at = f"{source}.{alias.name}"
                    wanted.add(at if at in files else lazy.get(source, {}).get(alias.name, source))
        graph[name] = {module for module in wanted if module in files and module != name}
    return graph


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules that import each other (strongly connected components of Tarjan's, of two and more)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        number[name] = low[name] = len(number)
        stack.append(name)
        for other in sorted(graph[name]):
            if other not in number:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], number[other])
        if low[name] == number[name]:
            at = stack.index(name)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(graph):
        if name not in number:
            visit(name)
    return found


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = imports(ROOT)
    assert len(graph) > 300
    assert sum(map(len, graph.values())) > 1000
    assert circles(graph) == []


@pytest.mark.parametrize(
    ("one", "two", "found"),
    [
        ("from made.two import x", "from made.one import y", True),
        ("import made.two", "def f():\n    from made import one", True),
        ("from . import two", "from .one import y", True),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made.two import x", "import made.one", False),
        ("import made.two", "import json", False),
        ("from made import X", "import made.one", True),
        ("from made import Y", "import made.one", False),
    ],
)
def test_a_circle_is_seen(tmp_path: Path, one: str, two: str, found: bool) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "__init__.pyi").write_text("from .two import X as X\nfrom .three import Y as Y\n")
    for name, text in {"one": one, "two": two, "three": ""}.items():
        (folder / f"{name}.py").write_text(text + "\n")
    assert circles(imports(folder)) == ([["made.one", "made.two"]] if found else [])
