"""A part of a module: one function, or one method of a class, with everything of the module that it uses.

A stage is one function of a module that holds several; its key must not change with the others. What is used is told
by name, generously: a name that is mentioned counts as used.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
#: Base classes that call none of a subclass's methods while a stage runs.
_CONTRACTS = frozenset({"BaseMethod", "Method", "ABC", "Protocol"})


def narrowed(body: Sequence[ast.stmt], part: str, skip: frozenset[str] = frozenset()) -> list[ast.stmt]:
    """The statements of a module that a part of it needs, in their order.

    Args:
        part: a top-level name, or "Class.method".
        skip: names that are left out although they are mentioned.

    Raises:
        KeyError: the module binds no such name.
    """
    root, _, member = part.partition(".")
    statements = [single for statement in body for single in _single(statement)]
    if member:
        statements = [
            _class_for(s, member) if isinstance(s, ast.ClassDef) and s.name == root else s for s in statements
        ]
    bound = [bound_names(statement) for statement in statements]
    if not any(root in names for names in bound):
        raise KeyError(part)
    wanted, reached = {root}, set[int]()
    while True:
        new = [
            i
            for i, names in enumerate(bound)
            # A statement that binds nothing (a call, a loop) runs when the module is imported, whoever does it.
            if i not in reached and (not names or names & wanted)
        ]
        if not new:
            return [statement for i, statement in enumerate(statements) if i in reached]
        reached.update(new)
        wanted |= {name for i in new for name in _mentioned(statements[i])} - skip


def _single(statement: ast.stmt) -> list[ast.stmt]:
    """An import of several names as several imports, so that each is taken only where it is used."""
    if isinstance(statement, ast.Import):
        return [ast.Import(names=[name]) for name in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [ast.ImportFrom(module=statement.module, names=[n], level=statement.level) for n in statement.names]
    return [statement]


def bound_names(statement: ast.stmt) -> frozenset[str]:
    """Names that a top-level statement binds; none for one that changes something else."""
    if isinstance(statement, (*_Function, ast.ClassDef)):
        return frozenset({statement.name})
    if isinstance(statement, (ast.For, ast.While, ast.With, ast.AugAssign)):
        return frozenset()
    return frozenset(_bound(statement))


def _bound(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, (*_Function, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _mentioned(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id


def _class_for(cls: ast.ClassDef, member: str) -> ast.ClassDef:
    """A class with the methods alone that one of them uses; whole where its bases might call the others."""
    methods = {s.name: s for s in cls.body if isinstance(s, _Function)}
    bases = {getattr(base, "attr", getattr(base, "id", "")) for base in cls.bases}
    if member not in methods or not bases <= _CONTRACTS:
        return cls
    rest = [s for s in cls.body if not isinstance(s, _Function)]
    wanted = {member} | {name for name in methods if name.startswith("__")}
    waiting: list[ast.AST] = [*rest, *cls.decorator_list, *(methods[name] for name in wanted)]
    while waiting:
        for name in _members(waiting.pop()):
            if name in methods and name not in wanted:
                wanted.add(name)
                waiting.append(methods[name])
    body = [s for s in cls.body if not isinstance(s, _Function) or s.name in wanted]
    small = ast.ClassDef(**{name: getattr(cls, name) for name in cls._fields})
    small.body = body
    return small


def _members(root: ast.AST) -> Iterator[str]:
    """Names that may stand for a method: `self.name`, `name` in the class's body, `getattr(self, "name")`."""
    for node in ast.walk(root):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
            if node.id == "getattr":
                yield from (n.value for n in ast.walk(root) if isinstance(n, ast.Constant) and isinstance(n.value, str))
