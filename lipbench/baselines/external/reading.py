"""Reading a method file, with errors that name the line."""

from __future__ import annotations

import difflib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from lipbench.baselines.external import config
from lipbench.baselines.external.config import Definition
from lipbench.core.errors import ManifestError


class Located(BaseModel):
    """A definition and the file it came from."""

    model_config = ConfigDict(frozen=True)

    definition: Definition
    file: Path

    @cached_property
    def repo(self) -> Path:
        """The checkout's absolute folder (it need not exist)."""
        text = os.path.expandvars(self.definition.repo.path)
        return (self.file.parent / Path(text).expanduser()).resolve()


def json_schema() -> dict[str, Any]:
    """JSON Schema of the file, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Definition.model_json_schema()}


def read(path: str | Path) -> Located:
    """Read and check a method file.

    Raises:
        ManifestError: naming file, line, field and what to change.
    """
    path = Path(path).expanduser()
    try:
        text = path.read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"cannot read {path}", str(error), "give the path of a method file (YAML)") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ManifestError(f"{path}:{line}: not valid YAML", error.problem or "", "correct that line") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path}: no method file", "it must be a mapping with a name and an argv")
    try:
        return Located(definition=Definition.model_validate(content), file=path.resolve())
    except ValidationError as error:
        raise _located(path, tree, error) from error


def _located(path: Path, tree: Any, error: ValidationError) -> ManifestError:
    first, more = error.errors()[0], error.error_count() - 1
    where = first["loc"]
    message = first["msg"].removeprefix("Value error, ")
    fix = "the fields are described in docs/external-methods.md"
    if first["type"] == "extra_forbidden":
        owner = _fields(where[:-1])
        near = difflib.get_close_matches(str(where[-1]), owner, n=1)
        message = "there is no such field"
        fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(owner)}"
    elif first["type"] == "missing":
        message, fix = "it is missing", f"add a line `{where[-1]}: ...`"
    elif first["type"] != "value_error":
        message += f", found {first['input']!r}"[:100]
    name = ".".join(str(p) for p in where) or "the file"
    rest = f" (and {more} more)" if more else ""
    return ManifestError(f"{path}:{_line(tree, where)}: {name}", message + rest, fix)


def _fields(where: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that exist at a place in the schema."""
    model: type[BaseModel] = Definition
    for step in where:
        if isinstance(step, str) and step in model.model_fields:
            text = str(model.model_fields[step].annotation)
            found = re.search(r"config\.(\w+)", text)
            model = getattr(config, found[1]) if found else model
    return list(model.model_fields)


def _line(tree: Any, where: tuple[int | str, ...]) -> int:
    """1-based line of a field; of its parent when the field is absent."""
    line = int(tree.start_mark.line) + 1
    for step in where:
        if isinstance(tree, yaml.MappingNode):
            found = next(((k, v) for k, v in tree.value if k.value == str(step)), None)
            if found is None:
                break
            line, tree = found[0].start_mark.line + 1, found[1]
        elif isinstance(tree, yaml.SequenceNode) and isinstance(step, int) and step < len(tree.value):
            tree = tree.value[step]
            line = tree.start_mark.line + 1
        else:
            break
    return line
