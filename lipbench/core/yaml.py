"""The one reader of YAML: manifests, run files and method files.

It composes PyYAML's node tree, whose nodes carry their lines, and never constructs objects. libyaml scans where PyYAML
has it (seven times as fast); what it refuses is read again in Python, for the clearer message. Size, depth and what
aliases repeat are limited, so no file takes long.

Every scalar is kept in two forms: as it was written, and as YAML 1.2 reads it (its core schema). What a pydantic model
calls text gets the first, so that `language: no` is Norwegian, `version: 1.10` keeps its zero and a hash of digits only
stays a hash; see `lipbench.core.fields`. Only `null`, `~` and nothing at all mean "not given".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import yaml
from yaml.composer import Composer

from lipbench.core.document import ANY, Document, Kind, Location, Problem, dotted, invalid
from lipbench.core.errors import ManifestError

MAX_BYTES = 16 * 2**20
#: Levels of lists and mappings.
MAX_DEPTH = 50
#: Keys and values, as written.
MAX_NODES = 500_000
#: Characters from which a file's values are counted first.
LARGE = 200_000
#: Values that aliases and merge keys may stand for, beyond those that are written.
MAX_REPEATED = 20_000
#: What YAML itself guesses about plain text; anything else was written as a tag.
PLAIN_TAGS = frozenset({"str", "int", "float", "bool", "timestamp", "value", "merge", "null"})

TAG = "tag:yaml.org,2002:"
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read(path: Path, kind: Kind = ANY) -> Document:
    """Parse a YAML file.

    Raises:
        ManifestError: missing, unreadable or larger than `MAX_BYTES`.
        InvalidDocument: see `parse`, or not UTF-8.
    """
    what = kind.name
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ManifestError(f"{path}: there is no such {what}", "", kind.missing) from None
    except IsADirectoryError:
        raise ManifestError(f"{path} is a folder, not a {what}", "", f"name the {what} in it") from None
    except OSError as error:
        raise ManifestError(f"{path}: this {what} cannot be read", str(error.strerror), "check the file") from error
    if len(content) > MAX_BYTES:
        limit = f"a {what} has at most {MAX_BYTES // 2**20} MiB"
        raise ManifestError(f"{path}: this file is too large for a {what}", limit, f"is it a {what} at all?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"this {what} is not UTF-8 text"
        raise invalid(
            [Problem(str(path), line, "", message, f"the byte 0x{content[error.start]:02x}", "save it as UTF-8")]
        ) from error
    return parse(text, str(path), kind)


def parse(text: str, name: str, kind: Kind = ANY) -> Document:
    """Parse YAML text.

    Raises:
        InvalidDocument: not YAML, not one mapping, a key twice, a tag, or beyond a limit.
    """
    root = _compose(text, name)
    if not isinstance(root, yaml.MappingNode):
        what = "the file is empty" if root is None else "the file must be a mapping of fields"
        raise invalid([Problem(name, 1, "", what, hint=f"start with `{kind.start}`")])
    reader = _Reader(name)
    data, values = reader.value(root, ())
    if reader.problems:
        raise invalid(list(reader.problems.values()))
    return Document(name, data, values, reader.lines, frozenset(reader.doubtful), root, text)


def parse_value(text: str, name: str) -> Any:
    """A YAML value on its own, such as the right side of an option NAME=VALUE, as YAML 1.2 reads it.

    Raises:
        InvalidDocument: as `parse`.
    """
    root = _compose(text, name)
    if root is None:
        return None
    reader = _Reader(name)
    _, value = reader.value(root, ())
    if reader.problems:
        raise invalid(list(reader.problems.values()))
    return value


# ---- text -> nodes ------------------------------------------------------------------------------------------------


class _Beyond(Exception):
    """A limit: the line, what is too much, and what to do."""


class _Bounded(Composer):
    """A composer with limits of depth and size; a loader class puts it before its own composer."""

    depth = count = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH or self.count > MAX_NODES:
            line = cast("Any", self).peek_event().start_mark.line + 1
            if self.depth > MAX_DEPTH:
                raise _Beyond(line, f"lists and mappings are nested more than {MAX_DEPTH} deep", "write it flatter")
            raise _Beyond(line, f"more than {MAX_NODES} values", "split the file")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _PythonLoader(_Bounded, yaml.SafeLoader):
    pass


_LOADERS: list[Any] = [_PythonLoader]
if yaml.__with_libyaml__:

    class _LibyamlLoader(_Bounded, yaml.CSafeLoader):
        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            _Bounded.__init__(self)

    _LOADERS.insert(0, _LibyamlLoader)


def _compose(text: str, name: str) -> yaml.Node | None:
    """The node tree of a text; the last loader's word counts when all refuse it."""
    refused: Exception | None = None
    for loader in _LOADERS:
        try:
            if len(text) > LARGE:
                _count(text)
            return yaml.compose(text, Loader=loader)
        except _Beyond as error:
            line, what, hint = error.args
            raise invalid([Problem(name, line, "", what, hint=hint)]) from None
        except yaml.YAMLError as error:
            refused = error
        except (ValueError, OverflowError) as error:  # PyYAML's own scanner: an escape beyond Unicode
            refused = refused or error
    assert refused is not None
    raise invalid([_refusal(text, name, refused)]) from refused


def _count(text: str) -> None:
    """Refuse too many values before a tree is made of them, which takes several times as long; errors wait for it."""
    if not yaml.__with_libyaml__:
        return
    loader, count = yaml.CSafeLoader(text), 0
    try:
        while (event := loader.get_event()) is not None:
            count += isinstance(event, yaml.NodeEvent)
            if count > MAX_NODES:
                line = event.start_mark.line + 1 if event.start_mark else 1
                raise _Beyond(line, f"more than {MAX_NODES} values", "split the file")
    except (yaml.YAMLError, ValueError, OverflowError):
        return
    finally:
        loader.dispose()


def _refusal(text: str, name: str, error: Exception) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    hint = "check the indentation and the quotes around this line"
    line = mark.line + 1 if mark else 1
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, int(error.position)) + 1
        what, hint = f"the character U+{ord(text[error.position]):04X} is not allowed", "delete it"
    elif r"'\t'" in what:
        what, hint = "a tab where only spaces may indent", "indent with spaces"
    elif what == "but found another document":
        what, hint = "a second document begins", "delete the line `---`"
    return Problem(name, line, "", f"not valid YAML: {what}", hint=hint)


# ---- nodes -> data ------------------------------------------------------------------------------------------------


class _Reader:
    """Node tree -> plain data in both forms, and lines."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.repeated = 0
        self.lines: dict[Location, int] = {}
        self.doubtful: set[Location] = set()
        #: By node, so that what aliases repeat is told once.
        self.problems: dict[tuple[int, str], Problem] = {}
        self._open: list[int] = []
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, location: Location) -> tuple[Any, Any]:
        self.lines.setdefault(location, node.start_mark.line + 1)
        self._limit(node, location)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, location)
        if not node.tag.startswith(TAG) or node.tag.removeprefix(TAG) not in ("map", "seq"):
            self._problem(node, location, f"tag {node.tag} is not allowed", "leave it out")
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, location)
            pairs = [self.value(child, (*location, i)) for i, child in enumerate(node.value)]
            return [data for data, _ in pairs], [value for _, value in pairs]
        finally:
            self._open.pop()

    def _limit(self, node: yaml.Node, location: Location) -> None:
        self.repeated += id(node) in self._seen
        self._seen.add(id(node))
        if id(node) in self._open or self.repeated > MAX_REPEATED or len(self._open) > MAX_DEPTH:
            what, hint = "the aliases expand without end", "write the values out"
            raise invalid([Problem(self.name, node.start_mark.line + 1, dotted(location), what, "", hint)])

    def _scalar(self, node: yaml.ScalarNode, location: Location) -> tuple[str | None, Any]:
        tag = node.tag.removeprefix(TAG)
        if tag not in PLAIN_TAGS:
            self._problem(node, location, f"tag {node.tag} is not allowed", "leave it out")
        if tag == "null":
            return None, None
        text = self._text(node, location)
        if node.style:  # quoted, or a block of text
            return text, text
        value = _core(text)
        if (tag in ("bool", "int", "float") and isinstance(value, str)) or re.fullmatch(r"[-+]?0[0-9]+", text):
            self.doubtful.add(location)
        return text, value

    def _text(self, node: yaml.ScalarNode, location: Location) -> str:
        r"""A scalar's text; pairs like \ud83d\ude00, which JSON writes for one character, become that character."""
        text = str(node.value)
        if text.isascii():
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._problem(node, location, "half of a surrogate pair is no character", "write the character itself")
            return ""

    def _mapping(self, node: yaml.MappingNode, location: Location) -> tuple[dict[str, Any], dict[str, Any]]:
        data: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for source in self._merged(node, location):
            texts, typed = self.value(source, location)
            data, values = {**texts, **data}, {**typed, **values}
        own: set[str] = set()
        for key, child in node.value:
            if key.tag == f"{TAG}merge":
                continue
            if not isinstance(key, yaml.ScalarNode):
                self._problem(key, location, "a field name must be text", "write a plain name")
                continue
            if key.tag.removeprefix(TAG) not in PLAIN_TAGS:
                self._problem(key, location, f"tag {key.tag} is not allowed", "leave it out")
            name = self._text(key, location)
            here = (*location, name)
            if name in own:
                self._problem(key, here, f"given twice, first in line {self.lines[here]}", "delete one of them")
            own.add(name)
            self.lines[here] = key.start_mark.line + 1
            data[name], values[name] = self.value(child, here)
        return data, values

    def _merged(self, node: yaml.MappingNode, location: Location) -> list[yaml.MappingNode]:
        found = []
        for key, child in node.value:
            if key.tag == f"{TAG}merge":
                for source in child.value if isinstance(child, yaml.SequenceNode) else [child]:
                    if isinstance(source, yaml.MappingNode):
                        found.append(source)
                    else:
                        self._problem(key, location, "`<<` takes mappings only", "name an anchor of a mapping")
        return found

    def _problem(self, node: yaml.Node, location: Location, message: str, hint: str) -> None:
        problem = Problem(self.name, node.start_mark.line + 1, dotted(location), message, "", hint)
        self.problems.setdefault((id(node), message), problem)


def _core(text: str) -> Any:
    """Plain text by YAML 1.2's core schema; null is told apart before."""
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text) and len(text) <= 4000:  # Python converts no longer ones
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return float(text)
    if match := _SPECIAL.fullmatch(text):
        return float("nan") if match[3] else float(f"{match[1]}inf")
    return text
