"""The run file: what to benchmark. People write it, so every mistake names the file, the field and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from lipbench.core import registry
from lipbench.core.errors import ManifestError

METHODS = "`lipbench list methods` shows what there is"
#: Field of the run file -> how to write it; errors end with it.
HINTS = {
    "schema": "write `schema: 1`, or leave it out",
    "name": "letters, digits, `.`, `_` and `-`; the run directory is runs/NAME",
    "manifest": "write `manifest: FILE`; `lipbench data add` makes one, `lipbench list datasets` has more",
    "split": "one of the names under `splits:` in the manifest",
    "methods": f"a list of ids or of {{id: ..., params: {{...}}}}; {METHODS}",
    "metrics": "a list of ids or families; `lipbench list metrics` shows what there is",
    "clips": 'a list of glob patterns, for example `clips: ["demo-*"]`',
    "languages": "a list of the dubs' languages, for example `languages: [fr, de]`",
    "original": "`true` or `false`",
    "train_seconds": "a list of seconds, null is the whole clip: for example `train_seconds: [3, 5, null]`",
    "seeds": "a list of whole numbers, for example `seeds: [0, 1, 2]`",
    "judge": "the id of one judge; `lipbench list judges` shows what there is",
    "protocol": "`realvideo` or `cropped`; docs/metrics.md says what they are",
    "sync": "a mapping of further options of the sync metrics; docs/running.md has them",
    "fps": "frames per second, more than 0 and at most 120",
    "faces": "the id of one face backend, for example `mediapipe-face`",
}


class MethodEntry(BaseModel):
    """One row of the comparison: a registered method (`id`) or an external one (`file`), with parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str | None = Field(None, description="A registered method; either this or `file`.")
    file: str | None = Field(None, description="External method file (YAML), relative to the run file.")
    label: str | None = Field(None, description="Row name in tables; the id when left out.")
    params: dict[str, Any] = Field(default_factory=dict, description="Its parameters; paths relative to the run file.")

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


class RunFile(BaseModel):
    """A benchmark run.

    Fields that cannot change a number (workers, timeouts, retries) are options of the command, not of this file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this format.")
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Names the run directory.")
    manifest: str = Field(description="A manifest file, relative to this file, or the name of a data set.")
    split: str | None = Field(None, description="Only the clips of this split of the manifest.")
    methods: tuple[MethodEntry, ...] = Field(min_length=1, description="The rows of the comparison.")
    metrics: tuple[str, ...] = Field((), description="Metric or family ids; empty = all.")
    clips: tuple[str, ...] = Field(("*",), description="Glob patterns.")
    languages: tuple[str, ...] = Field((), description="Dub languages; empty = all in the manifest.")
    original: bool = Field(False, description="Also the clip's own audio, as a reconstruction test.")
    train_seconds: tuple[float | None, ...] = Field((None,), description="Training lengths; null = the whole clip.")
    seeds: tuple[int, ...] = Field((0,), description="Seeds of methods that use one.")
    judge: str = Field("syncnet_v2", description="Weights behind LSE-D and LSE-C.")
    protocol: Literal["realvideo", "cropped"] = Field("realvideo", description="How the judge sees the face.")
    sync: dict[str, Any] = Field(default_factory=dict, description="Further options of the sync family.")
    fps: float = Field(25.0, gt=0, le=120, description="Frame rate that every clip is brought to.")
    faces: str = Field("mediapipe-face", description="Face backend for clips without landmark files.")

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
        raise ManifestError(
            f"{path}: cannot be read", str(error), "check the path; a run file is UTF-8 text"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        why = str(getattr(error, "problem", error))
        fix = "check the indentation, brackets and quotes around this line"
        raise ManifestError(f"{path}{line}: not valid YAML", why, fix) from error
    return parse_run_file(data, str(path))


def parse_run_file(data: Any, where: str) -> RunFile:
    """Validate a run file's content; `where` names it in errors."""
    if not isinstance(data, dict):
        why = "it is empty" if data is None else f"this is a {type(data).__name__}"
        raise ManifestError(f"{where}: a run file is a mapping", why, "write `manifest:` and `methods:`, one a line")
    try:
        return RunFile.model_validate(data)
    except ValidationError as error:
        problems = error.errors()
        # A misspelt field explains the one that seems to be missing.
        first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
        field = ".".join(str(part) for part in first["loc"]) or "(top level)"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        what, why = first["msg"], f"got {first['input']!r}"[:200]
        if first["type"] == "missing":
            what, why = "is missing", "every run file needs it"
        raise ManifestError(f"{where}: {field}: {what}{more}", why, _hint(first)) from error


def _hint(problem: Mapping[str, Any]) -> str:
    """What to write instead."""
    place = problem["loc"]
    if problem["type"] != "extra_forbidden":
        return HINTS[str(place[0])]
    model: type[BaseModel] = RunFile if len(place) == 1 else MethodEntry
    known = [info.alias or name for name, info in model.model_fields.items()]
    near = difflib.get_close_matches(str(place[-1]), known, n=1)
    return f"did you mean {near[0]}?" if near else f"fields: {', '.join(known)}"
