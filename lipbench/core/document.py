"""Files that people write, as data with lines, and the mistakes in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lipbench.core.errors import ManifestError

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Kind:
    """What a file is, for its errors.

    Attributes:
        name: "manifest".
        start: its first line, for a file that does not begin like one.
        missing: what to do when there is no such file.
    """

    name: str = "file"
    start: str = "name: value"
    missing: str = "check the path"


ANY = Kind()


@dataclass(frozen=True)
class Problem:
    """One mistake.

    Attributes:
        file: how errors call it.
        line: 1-based; 0: not in a file.
        field: where it is, dotted.
        message: what is wrong.
        found: what was found there.
        hint: what to do.
        general: the hint fits any such mistake; who knows the format may know a better one.
        missing: the name of the field that is not there.
    """

    file: str
    line: int
    field: str
    message: str
    found: str = ""
    hint: str = ""
    general: bool = False
    missing: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field + ': ' if self.field else ''}{self.message}"


class InvalidDocument(ManifestError):
    """A file with mistakes; `problems` has all of them, the message the first."""

    problems: tuple[Problem, ...] = ()


def invalid(problems: list[Problem], see_all: str = "") -> InvalidDocument:
    """The error for a file's problems (at least one), in the order of their lines; `see_all` says how to list them."""
    ordered = sorted(problems, key=lambda p: p.line)
    first, more = ordered[0], len(ordered) - 1
    fix = first.hint
    if more and see_all:
        fix = f"{fix}{'' if fix.endswith('?') else ';'} {see_all}" if fix else see_all
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
        data: mappings, lists, None and strings: every scalar as it was written.
        values: the same with numbers, true and false where plain text is one by YAML 1.2.
        lines: location -> 1-based line; a mapping's entry has the line of its key.
        doubtful: locations of plain text that YAML 1.1 takes for something else than YAML 1.2: no, 010, 1:30.
        root: the YAML tree with its marks, for edits of the text; None without a text.
        text: the file's content.
    """

    name: str
    data: dict[str, Any]
    values: dict[str, Any]
    lines: Mapping[Location, int] = field(default_factory=dict)
    doubtful: frozenset[Location] = frozenset()
    root: yaml.MappingNode | None = None
    text: str = ""

    def line(self, location: Location) -> int:
        """The line of a location, or of the nearest thing around it that is written in the file."""
        for end in range(len(location), 0, -1):
            if location[:end] in self.lines:
                return self.lines[location[:end]]
        return 1 if self.root is not None else 0

    def problem(
        self,
        location: Location,
        message: str,
        found: Any = None,
        hint: str = "",
        *,
        general: bool = False,
        missing: str = "",
    ) -> Problem:
        """A mistake at a location; see `Problem`. `found` is shown as Python writes it, shortened."""
        shown = "" if found is None else repr(found)
        shown = shown if len(shown) <= 120 else shown[:117] + "..."
        return Problem(self.name, self.line(location), dotted(location), message, shown, hint, general, missing)


def dotted(location: Location) -> str:
    """`clips[3].sha256` for ("clips", 3, "sha256"); a name that is no plain word is quoted."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            part = part if part.isprintable() and part.strip() == part != "" else repr(part)
            text += f".{part}" if text else part
    return text if len(text) <= 120 else text[:117] + "..."


def of_mapping(data: Mapping[str, Any], name: str) -> Document:
    """A document that was not read from a file: its values are what they are, and it has no lines."""
    return Document(name, dict(data), dict(data))
