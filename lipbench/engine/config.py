"""The run file: what to benchmark. People write it, so every mistake names the file, the field and the mend."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from lipbench.core import fields, yaml
from lipbench.core.document import Document, Kind, Location, invalid, of_mapping
from lipbench.core.errors import ManifestError
from lipbench.core.fields import mistake, or_text, unclear, validate

KIND = Kind("run file", "manifest: demo", "`lipbench run` without a file runs the demo")
METHODS = "lipbench list methods shows what there is"


class MethodEntry(BaseModel):
    """One row of the comparison: a registered method (`id`) or an external one (`file`), with parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    file: str | None = Field(None, description="External method file (YAML), relative to the run file.")
    label: str | None = Field(None, description="Row name in tables; the id when left out.")
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> MethodEntry:
        if (self.id is None) == (self.file is None):
            raise mistake("give either id (a registered method) or file (an external one)", METHODS)
        return self


MethodField = Annotated[MethodEntry, or_text("id", str | MethodEntry)]


class RunFile(BaseModel):
    """A benchmark run.

    Fields that cannot change a number (workers, timeouts, retries) are options of the command, not of this file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    manifest: str = Field(description="A manifest file, relative to this file, or the name of a data set.")
    split: str | None = None
    methods: tuple[MethodField, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = Field((), description="Metric or family ids; empty = all.")
    clips: tuple[str, ...] = Field(("*",), description="Glob patterns.")
    languages: tuple[str, ...] = Field((), description="Dub languages; empty = all in the manifest.")
    original: bool = Field(False, description="Also the clip's own audio, as a reconstruction test.")
    train_seconds: tuple[float | None, ...] = Field((None,), description="Training lengths; null = the whole clip.")
    seeds: tuple[int, ...] = (0,)
    judge: str = "syncnet_v2"
    protocol: Literal["realvideo", "cropped"] = "realvideo"
    sync: dict[str, Any] = Field(default_factory=dict, description="Further options of the sync family.")
    fps: float = Field(25.0, gt=0, le=120)
    faces: str = Field("mediapipe-face", description="Face backend for clips without landmark files.")

    @field_validator("methods")
    @classmethod
    def _labels_differ(cls, value: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        seen: set[str] = set()
        for entry in value:
            label = entry.label or entry.id or entry.file or ""
            if label in seen:
                raise mistake(f"two methods are called {label!r}", "give one of them a label")
            seen.add(label)
        return value


def load_run_file(path: Path) -> RunFile:
    """Read and validate a run file.

    Raises:
        ManifestError: missing, not YAML, or a field that is wrong; the message names file, line and field.
    """
    return _checked(yaml.read(path, KIND))


def parse_run_file(data: Any, where: str) -> RunFile:
    """Validate a run file's content; `where` names it in errors.

    Raises:
        ManifestError: naming the field.
    """
    if not isinstance(data, dict):
        raise ManifestError(f"{where}: a run file is a mapping", f"this is a {type(data).__name__}", METHODS)
    return _checked(of_mapping(data, where))


def _checked(document: Document) -> RunFile:
    run, problems = validate(RunFile, document)
    problems += unclear(document, _is_inside_parameter)
    if run is None or problems:
        raise invalid([replace(p, hint=p.hint or (METHODS if p.field.startswith("methods") else "")) for p in problems])
    return run


def _is_inside_parameter(location: Location) -> bool:
    """Whether a place is in a parameter that is a mapping, such as LipNeRF's `settings`; plain ones have a type."""
    return "params" in location[2:3] and any(isinstance(part, str) for part in location[4:])


def json_schema() -> str:
    """The format's JSON Schema as text, for editors; the packaged `run.schema.json` is this."""
    return json.dumps(fields.json_schema(RunFile, "lipbench run file, schema 1"), indent=2) + "\n"
