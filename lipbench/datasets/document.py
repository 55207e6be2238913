"""YAML files that people write: read with line numbers, checked by a pydantic model, every mistake named with its line.

Plain scalars stay the text that was written until the model says what they are: `language: no` is Norwegian, `version:
1.10` keeps its zero and a hash of digits only stays a hash. Only `null`, `~` and nothing at all mean "not given".
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from lipbench.core.errors import ManifestError

Location = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)

#: Aliases can make a small file stand for a huge one.
MAX_NODES = 500_000
#: What YAML itself guesses about plain text; anything else was written as a tag.
PLAIN_TAGS = frozenset({"str", "int", "float", "bool", "timestamp", "value"})


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is, what is wrong, what was found there and how to mend it."""

    file: str
    line: int
    field: str
    message: str
    found: str = ""
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field + ': ' if self.field else ''}{self.message}"


class InvalidDocument(ManifestError):
    """A file with mistakes; `problems` has all of them, the message the first."""

    problems: tuple[Problem, ...] = ()


def invalid(problems: list[Problem], hint: str = "") -> InvalidDocument:
    """The error for a file's problems (at least one), in the order of their lines; `hint` says how to see them all."""
    ordered = sorted(problems, key=lambda p: p.line)
    first, more = ordered[0], len(ordered) - 1
    fix = first.mend
    if more and hint:
        fix = f"{fix}; {hint}" if fix else hint
    error = InvalidDocument(
        f"{first}{f' (and {more} more)' if more else ''}", f"found {first.found}" if first.found else "", fix
    )
    error.problems = tuple(ordered)
    return error


@dataclass(frozen=True)
class Document:
    """A parsed file.

    Attributes:
        name: how errors call it.
        data: mappings, lists, strings and None.
        lines: location -> 1-based line; a mapping's entry has the line of its key.
        root: the YAML tree with its marks, for edits of the text.
        text: the file's content.
    """

    name: str
    data: dict[str, Any]
    lines: dict[Location, int]
    root: yaml.Node
    text: str

    def line(self, location: Location) -> int:
        """The line of a location, or of the nearest thing around it that is written in the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 1

    def problem(self, location: Location, message: str, found: Any = None, mend: str = "") -> Problem:
        shown = "" if found is None else repr(found)
        shown = shown if len(shown) <= 120 else shown[:117] + "..."
        return Problem(self.name, self.line(location), dotted(location), message, shown, mend)


def dotted(location: Location) -> str:
    """`clips[3].sha256` for ("clips", 3, "sha256")."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(text: str, name: str) -> Document:
    """Parse YAML text.

    Raises:
        InvalidDocument: not YAML, not one mapping, a key twice, a tag, or aliases that expand beyond reason.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        problem = Problem(
            name,
            mark.line + 1 if mark else 1,
            "",
            f"not valid YAML: {what}",
            mend="check the indentation and the quotes around this line",
        )
        raise invalid([problem]) from error
    if not isinstance(root, yaml.MappingNode):
        what = "the file is empty" if root is None else "the file must be a mapping of fields"
        raise invalid([Problem(name, 1, "", what, mend="start with `schema: 1`")])
    reader = _Reader(name)
    data = reader.value(root, ())
    if reader.problems:
        raise invalid(reader.problems)
    return Document(name, data, reader.lines, root, text)


def read(path: Path, what: str) -> Document:
    """Parse a YAML file; `what` names its kind in errors ("manifest").

    Raises:
        ManifestError: missing or unreadable.
        InvalidDocument: see `parse`.
    """
    try:
        return parse(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError:
        raise ManifestError(f"{path}: there is no such {what}", "", "check the path") from None
    except IsADirectoryError:
        raise ManifestError(f"{path} is a folder, not a {what}", "", f"name the {what} file in it") from None
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: this {what} is not UTF-8 text", str(error), "save it as UTF-8") from error
    except OSError as error:
        raise ManifestError(f"{path}: this {what} cannot be read", str(error.strerror), "check the file") from error


class _Reader:
    """Node tree -> plain data and lines."""

    def __init__(self, name: str) -> None:
        self.name, self.count = name, 0
        self.lines: dict[Location, int] = {}
        self.problems: list[Problem] = []
        self._open: list[yaml.Node] = []

    def value(self, node: yaml.Node, location: Location) -> Any:
        self.lines.setdefault(location, node.start_mark.line + 1)
        self.count += 1
        if self.count > MAX_NODES or any(node is n for n in self._open):
            raise invalid([self._problem(node, location, "the aliases expand without end", "write the values out")])
        if isinstance(node, yaml.ScalarNode):
            if node.tag == "tag:yaml.org,2002:null":
                return None
            if node.tag.removeprefix("tag:yaml.org,2002:") not in PLAIN_TAGS:
                self.problems.append(self._problem(node, location, f"tag {node.tag} is not allowed", "leave it out"))
            return node.value
        self._open.append(node)
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(child, (*location, i)) for i, child in enumerate(node.value)]
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, location)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                for source in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                    if isinstance(source, yaml.MappingNode):
                        merged = {**self.value(source, location), **merged}
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(self._problem(key, location, "a field name must be text", "write a plain name"))
                continue
            here = (*location, key.value)
            if key.value in data:
                first = self.lines[here]
                self.problems.append(
                    self._problem(key, here, f"given twice, first in line {first}", "delete one of them")
                )
            self.lines[here] = key.start_mark.line + 1
            data[key.value] = self.value(child, here)
        return {**merged, **data}

    def _problem(self, node: yaml.Node, location: Location, message: str, mend: str) -> Problem:
        return Problem(self.name, node.start_mark.line + 1, dotted(location), message, "", mend)


def validate(model: type[Model], document: Document) -> tuple[Model | None, list[Problem]]:
    """The document as a model, or None and every problem that the model sees in it, in the order of their lines."""
    try:
        return model.model_validate(document.data), []
    except ValidationError as error:
        problems = [_problem(document, model, dict(details)) for details in error.errors() if not _echo(dict(details))]
        return None, sorted(problems, key=lambda p: p.line)


def _echo(details: dict[str, Any]) -> bool:
    """Whether pydantic counts only the good items of a list whose bad ones it reports anyway."""
    return details["type"] == "too_short" and isinstance(details["input"], list) and len(details["input"]) > 0


#: pydantic's error type -> what to say.
_MESSAGES = {
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "bool_parsing": "must be true or false",
    "finite_number": "must be a finite number",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "too_short": "needs at least one entry",
}


def _problem(document: Document, model: type[BaseModel], details: dict[str, Any]) -> Problem:
    location: Location = tuple(part for part in details["loc"] if part != "[key]")
    kind, found, context = details["type"], details["input"], details.get("ctx", {})
    names = field_names(model, location[:-1])
    if kind == "missing":
        return document.problem(location[:-1], f"{location[-1]} is missing", None, f"add `{location[-1]}:`")
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), names, n=1)
        mend = f"did you mean {near[0]}?" if near else f"fields: {', '.join(names)}"
        return document.problem(location, "there is no such field", None, mend)
    if found is None:
        return document.problem(location, "nothing is given", None, "write a value, or leave the field out")
    if kind == "value_error":
        message, _, mend = str(context["error"]).partition(" || ")
    else:
        message, mend = _MESSAGES.get(kind) or details["msg"].replace("Input should be", "must be"), ""
    if isinstance(found, (dict, list)):
        message += f", not a {'mapping' if isinstance(found, dict) else 'list'}" if kind.endswith("_type") else ""
        found = None
    return document.problem(location, message, found, mend)


def field_names(model: type[BaseModel], location: Location) -> list[str]:
    """The names of the fields at a location of a model, as they are written in the file; [] where names are free."""
    here: Any = model
    for part in location:
        if isinstance(part, int):
            continue
        if not (isinstance(here, type) and issubclass(here, BaseModel)):
            return []
        found = next((i for n, i in here.model_fields.items() if part == (i.alias or n)), None)
        here = None if found is None else _model_in(found.annotation)
    if not (isinstance(here, type) and issubclass(here, BaseModel)):
        return []
    return [info.alias or name for name, info in here.model_fields.items()]


def _model_in(annotation: Any) -> Any:
    # On Python 3.10 `tuple[int]` is an instance of `type`, but no class.
    if get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
