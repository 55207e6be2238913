"""The file that describes an external method: schema, reading, and errors that name the line."""

from __future__ import annotations

import difflib
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from lipbench.baselines.external.placeholders import check
from lipbench.core.errors import ManifestError


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _words(value: Any) -> Any:
    if isinstance(value, str):
        raise ValueError("a list of words is needed, never one shell string: [python, run.py, --video, ...]")
    return [str(v) if isinstance(v, (int, float)) and not isinstance(v, bool) else v for v in value]


#: A command: words as the program gets them; numbers are taken as text.
Argv = Annotated[tuple[str, ...], BeforeValidator(_words), Field(min_length=1)]


class Repo(Part):
    """The checkout. It is never vendored: the user clones it."""

    url: str = Field("", description="Where to clone it from.")
    commit: str = Field("", description="Commit that the file was written for; another one is refused.")
    path: str = Field(".", description="Folder; ~ and ${VARIABLES} are expanded, relative to this file.")


class Licence(Part):
    code: str = "unknown"
    weights: str = "unknown"
    commercial: Literal["yes", "no", "unknown"] = "unknown"

    @field_validator("commercial", mode="before")
    @classmethod
    def _yaml_bool(cls, value: Any) -> Any:
        return {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value


class Env(Part):
    """Where the command runs; lipbench itself is never imported there."""

    type: Literal["none", "venv", "conda", "docker"] = Field("none", description="none: lipbench's own Python.")
    name_or_path: str = Field("", description="venv folder, conda environment (name or folder) or docker image.")
    python: str = Field("", description="Version, for people (`doctor` shows it).")
    vars: dict[str, str] = Field(default_factory=dict, description="Environment variables; placeholders allowed.")

    @field_validator("vars", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return {k: str(v) for k, v in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _named(self) -> Env:
        if self.type != "none" and not self.name_or_path:
            raise ValueError(f"an environment of type {self.type} needs name_or_path")
        return self


class WeightFile(Part):
    path: str = Field(description="Relative to the repo.")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="Refused when it differs.")
    size: int | None = Field(None, description="Bytes; refused when it differs.")
    required: bool = True


class Needs(Part):
    gpu: bool = False
    min_vram_gb: float = 0
    binaries: tuple[str, ...] = Field((), description="Programs that must be on the PATH.")
    faces: bool = Field(True, description="Hand over the clip's face track, so that unchanged mouths are noticed.")


class Inputs(Part):
    """What the command gets. The video has as many frames as the dub; names are short ASCII in `{work}`."""

    kind: Literal["video", "image"] = Field("video", description="image: `{video}` is the first frame as PNG.")
    fps: float | Literal["any"] = Field("any", description="Frame rate of `{video}`; any: the clip's.")
    size: tuple[int, int] | Literal["any"] = Field("any", description="[width, height] to scale to.")
    audio_rate: int = Field(16000, description="Hz of `{audio}` (mono PCM16 wav).")


class Entry(Part):
    """Instead of argv: a Python function or method in the method's own environment, called by a small worker."""

    call: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="module:function or module:Class.method")
    python: str = Field("", description="Interpreter; default: the environment's.")
    init: dict[str, Any] = Field(default_factory=dict, description="Keyword arguments of the class.")
    args: dict[str, Any] = Field(default_factory=dict, description="Further keyword arguments of the call.")


class Output(Part):
    find: Literal["exact", "newest-glob", "dir-of-frames"] = "exact"
    pattern: str = Field("{out}", description="File, glob or folder; relative to the command's working folder.")
    fps: float | None = Field(None, description="Frame rate of a dir-of-frames; default: that of `{video}`.")


class Post(Part):
    """One step after the command, in the order written. One field a step (pads, drops and paste+blend go together)."""

    crop: tuple[int, int, int, int] | None = Field(None, description="x, y, width, height to keep.")
    resize: tuple[int, int] | Literal["clip"] | None = Field(None, description="[width, height] or the clip's size.")
    fps: float | None = Field(None, gt=0, description="Resample to this rate.")
    drop_head: int | None = Field(None, ge=0, description="Frames to cut at the start.")
    drop_tail: int | None = Field(None, ge=0, description="Frames to cut at the end.")
    pad_head: int | None = Field(None, ge=0, description="Times to repeat the first frame.")
    pad_tail: int | None = Field(None, ge=0, description="Times to repeat the last frame.")
    paste: str | None = Field(None, description="JSON with a 2x3 matrix (or one per frame): output px -> clip px.")
    blend: Literal["none", "feather", "poisson"] | None = Field(None, description="How `paste` joins; default none.")
    mux: Literal["{audio}"] | None = Field(None, description="The dub is always muxed in at the end.")

    @model_validator(mode="after")
    def _one_step(self) -> Post:
        given = {name for name, value in self if value is not None}
        together = ({"drop_head", "drop_tail"}, {"pad_head", "pad_tail"}, {"paste", "blend"})
        if given == {"blend"} or not given or (len(given) > 1 and not any(given <= pair for pair in together)):
            raise ValueError(f"one step per list item, found {', '.join(sorted(given)) or 'none'}")
        return self


class Caps(Part):
    deterministic: bool = Field(True, description="The same inputs give the same pixels.")
    seed_flag: str = Field("", description="Option that takes the seed; appended with it.")
    pass_through: bool = Field(False, description="Returning the input unchanged is no fault.")
    modifies_full_frame: bool = Field(False, description="Changes more than the face (for people).")


_PLACED = ("argv", "prepare", "files", "env", "output", "post")


class Definition(Part):
    """One external method. Placeholders: see `placeholders.NAMES`."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="The method's id and row name.")
    title: str = ""
    version: str = Field("1", description="Bump it when the same inputs would give other pixels.")
    paper: str = ""
    kind: Literal["method", "control"] = "method"
    licence: Licence = Licence()
    repo: Repo = Repo()
    env: Env = Env()
    weights: tuple[WeightFile, ...] = ()
    needs: Needs = Needs()
    inputs: Inputs = Inputs()
    prepare: tuple[Argv, ...] = Field((), description="Commands to run before argv, in the same folder.")
    files: dict[str, str] = Field(default_factory=dict, description="Path -> content of files to write before.")
    argv: Argv | None = Field(None, description="The command. argv or entry, not both.")
    entry: Entry | None = None
    cwd: Literal["private", "repo", "work"] = Field("private", description="private: a shadow of the checkout.")
    writable: tuple[str, ...] = Field((), description="Folders of the checkout that the command writes to.")
    timeout_s: float = Field(3600, gt=0)
    output: Output = Output()
    post: tuple[Post, ...] = ()
    caps: Caps = Caps()
    failures: dict[str, str] = Field(default_factory=dict, description="Reason -> regex over the command's output.")
    paper_results: dict[str, float] = Field(default_factory=dict)
    deviations: tuple[str, ...] = ()

    @field_validator("version", mode="before")
    @classmethod
    def _text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, (int, float)) else value

    @field_validator("writable")
    @classmethod
    def _inside(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            if Path(folder).is_absolute() or ".." in Path(folder).parts:
                raise ValueError(f"{folder!r} must lie inside the checkout")
        return value

    @field_validator("failures")
    @classmethod
    def _regexes(cls, value: dict[str, str]) -> dict[str, str]:
        for reason, pattern in value.items():
            if not re.fullmatch(r"[a-z_]+", reason):
                raise ValueError(f"a reason is one short word like no_face, not {reason!r}")
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{reason}: {pattern!r} is no regular expression ({error})") from error
        return value

    @field_validator(*(name for name in _PLACED if name not in ("env", "output")), mode="after")
    @classmethod
    def _placeholders(cls, value: Any) -> Any:
        check(value)
        return value

    @model_validator(mode="after")
    def _one_command(self) -> Definition:
        if (self.argv is None) == (self.entry is None):
            raise ValueError("give either argv (a command) or entry (a Python call)")
        check((self.env.vars, self.output.pattern))
        return self


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
        raise ManifestError(f"{path}, line {line}: no valid YAML", error.problem or "", "correct that line") from error
    if not isinstance(content, dict):
        raise ManifestError(f"{path} is no method file", "it must be a mapping with a name and an argv")
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
    return ManifestError(f"{path}, line {_line(tree, where)}: {name}", message + rest, fix)


def _fields(where: tuple[int | str, ...]) -> list[str]:
    """Names of the fields that exist at a place in the schema."""
    model: type[BaseModel] = Definition
    for step in where:
        if isinstance(step, str) and step in model.model_fields:
            text = str(model.model_fields[step].annotation)
            found = re.search(r"config\.(\w+)", text)
            model = globals()[found[1]] if found else model
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
