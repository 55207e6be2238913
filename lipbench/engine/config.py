"""The run file: what to benchmark. People write it, so every mistake names the file, the field and the mend."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_serializer, model_validator

from lipbench.core import registry
from lipbench.core.errors import ManifestError

METHODS = "lipbench list methods shows what there is"


class MethodEntry(BaseModel):
    """One row of the comparison: a registered method (`id`) or an external one (`file`), with parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = None
    file: str | None = Field(None, description="External method file (YAML), relative to the run file.")
    label: str | None = Field(None, description="Row name in tables; the id when left out.")
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @field_validator("id")
    @classmethod
    def _present_id(cls, value: str | None) -> str | None:
        return None if value is None else registry.present(value)

    @model_validator(mode="after")
    def _one_source(self) -> MethodEntry:
        if (self.id is None) == (self.file is None):
            raise ValueError("give either id (a registered method) or file (an external one)")
        return self


class MetricEntry(BaseModel):
    """What to measure: a family, a metric or a glob pattern of either (`psnr_*`), with options of its family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="Family id, metric id or glob pattern.")
    params: dict[str, Any] = Field(default_factory=dict, description="Options of the family.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {"id": value} if isinstance(value, str) else value

    @model_serializer
    def _as_written(self) -> Any:
        return {"id": self.id, "params": self.params} if self.params else self.id

    def asks(self, family: str, metric: str) -> bool:
        """Whether this entry means a metric of a family."""
        return fnmatchcase(family, self.id) or fnmatchcase(metric, self.id)


class RunFile(BaseModel):
    """A benchmark run.

    Fields that cannot change a number (workers, timeouts, retries) are options of the command, not of this file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = Field(1, alias="schema")
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    manifest: str = Field(description="A manifest file, relative to this file, or the name of a data set.")
    split: str | None = None
    methods: tuple[MethodEntry, ...] = Field(min_length=1)
    metrics: tuple[MetricEntry, ...] = Field((), description="Metric or family ids, with options; empty = all.")
    clips: tuple[str, ...] = Field(("*",), description="Glob patterns.")
    languages: tuple[str, ...] = Field((), description="Dub languages; empty = all in the manifest.")
    original: bool = Field(False, description="Also the clip's own audio, as a reconstruction test.")
    train_seconds: tuple[float | None, ...] = Field((None,), description="Training lengths; null = the whole clip.")
    seeds: tuple[int, ...] = (0,)
    judge: str = Field("syncnet_v2", description="Option judge of the sync family.")
    protocol: Literal["realvideo", "cropped"] = Field("realvideo", description="Option protocol of the sync family.")
    sync: dict[str, Any] = Field(default_factory=dict, description="Further options of the sync family.")
    fps: float = Field(25.0, gt=0, le=120)
    faces: str = Field("mediapipe-face", description="Face backend for clips without landmark files.")

    def asks(self, family: str, metric: str) -> bool:
        """Whether a metric is asked for, not only measured because its family is."""
        return not self.metrics or any(entry.asks(family, metric) for entry in self.metrics)

    @field_validator("methods")
    @classmethod
    def _labels_differ(cls, value: tuple[MethodEntry, ...]) -> tuple[MethodEntry, ...]:
        seen: set[str] = set()
        for entry in value:
            label = entry.label or entry.id or entry.file or ""
            if label in seen:
                raise ValueError(f"two methods are called {label!r}: give one of them a label")
            seen.add(label)
        return value


def load_run_file(path: Path) -> RunFile:
    """Read and validate a run file.

    Raises:
        ManifestError: missing, not YAML, or a field that is wrong; the first problem is named with its field.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such run file", "", "`lipbench run` without a file runs the demo") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read", str(error)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ManifestError(f"{path}{line}: not valid YAML", str(getattr(error, "problem", error))) from error
    return parse_run_file(data, str(path))


def parse_run_file(data: Any, where: str) -> RunFile:
    """Validate a run file's content; `where` names it in errors."""
    if not isinstance(data, dict):
        raise ManifestError(f"{where}: a run file is a mapping", f"this is a {type(data).__name__}", METHODS)
    try:
        return RunFile.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "(top level)"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        known = ", ".join("schema" if n == "schema_version" else n for n in RunFile.model_fields)
        fix = f"fields: {known}" if first["type"] == "extra_forbidden" else METHODS
        raise ManifestError(f"{where}: {field}: {first['msg']}{more}", f"got {first['input']!r}"[:200], fix) from error
