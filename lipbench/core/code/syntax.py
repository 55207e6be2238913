"""A hash of what Python code says, not of how it is written.

Comments, docstrings, line breaks and quotes do not change it, and neither does the Python that parses: fields that a
version added (`type_params`) count only where they hold something. Imports and names for type checkers alone (the
body of `if TYPE_CHECKING`) never run and are left out.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: Fields without a meaning of their own: `x = 1` and `print(x)` are told apart by the nodes around the name.
_NO_MEANING = frozenset({"ctx", "kind", "type_comment", "type_ignores", "simple"})


def syntax_hash(statements: Sequence[ast.stmt]) -> str:
    """SHA-256 (64 hex digits) of statements."""
    parts: list[str] = []
    _list(statements, parts.append)
    return hashlib.sha256("".join(parts).encode("ascii")).hexdigest()


def is_type_checking(statement: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    if not isinstance(statement, ast.If):
        return False
    test = statement.test
    return getattr(test, "id", None) == "TYPE_CHECKING" or getattr(test, "attr", None) == "TYPE_CHECKING"


def is_text(statement: ast.AST) -> bool:
    """Whether a statement is a string and nothing else: a docstring, or a comment in the form of one."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _running(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if is_type_checking(value):
            yield from _running(value.orelse)
        elif not is_text(value):
            yield value


def _list(values: Sequence[Any], write: Callable[[str], None]) -> None:
    write("[")
    for value in _running(values):
        _value(value, write)
        write(",")
    write("]")


def _value(value: Any, write: Callable[[str], None]) -> None:
    if isinstance(value, ast.Constant):
        write(_constant(value.value))
    elif isinstance(value, ast.JoinedStr):
        write("JoinedStr")
        _list(_merged(value.values), write)
    elif isinstance(value, ast.AST):
        write(f"{type(value).__name__}(")
        for name in value._fields:
            inner = getattr(value, name, None)
            if name in _NO_MEANING or inner is None or inner == []:
                continue
            write(f"{name}=")
            _value(inner, write)
            write(";")
        write(")")
    elif isinstance(value, list):
        _list(value, write)
    else:  # names, None in lists, numbers of a format's conversion
        write(ascii(value))


def _constant(value: object) -> str:
    # ascii(): which characters repr() escapes depends on the Unicode tables of the Python. Integers in hexadecimal:
    # decimal digits of long ones are refused by newer ones.
    if isinstance(value, int) and not isinstance(value, bool):
        return f"int {value:x}"
    return f"{type(value).__name__} {value!a}"


def _merged(values: Sequence[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string with its pieces of text joined: Pythons cut them at different places."""
    merged: list[ast.expr] = []
    for value in values:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            if not value.value:
                continue
            last = merged[-1] if merged else None
            if isinstance(last, ast.Constant):
                merged[-1] = ast.Constant(str(last.value) + value.value)
                continue
        merged.append(value)
    return merged
