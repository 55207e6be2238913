"""The run file: what to benchmark. People write it, so every mistake names the file, the field and the mend."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_serializer, model_validator

from lipbench.core import fields, registry, renames, yaml
from lipbench.core.document import Document, Kind, Location, Problem, invalid, of_mapping
from lipbench.core.errors import ManifestError
from lipbench.core.fields import mistake, or_text, unclear, validate

KIND = Kind("run file", "manifest: demo", "`lipbench run` without a file runs the demo")
METHODS = "`lipbench list methods` shows what there is"
#: Field of the run file -> how to write it; errors end with it.
HINTS = {
    "schema": "write `schema: 1`, or leave it out",
    "name": "letters, digits, `.`, `_` and `-`; the run directory is runs/NAME",
    "manifest": "write `manifest: FILE`; `lipbench data add` makes one, `lipbench list datasets` has more",
    "split": "one of the names under `splits:` in the manifest",
    "methods": f"a list of ids or of {{id: ..., params: {{...}}}}; {METHODS}",
    "metrics": "a list of ids or families; `lipbench list metrics` shows what there is",
    "recipe": "the id of one recipe; `lipbench list recipes` shows what there is",
    "clips": 'a list of glob patterns, for example `clips: ["demo-*"]`',
    "languages": "a list of the dubs' languages, for example `languages: [fr, de]`",
    "original": "`true` or `false`",
    "train_seconds": "a list of seconds, null is the whole clip: for example `train_seconds: [3, 5, null]`",
    "seeds": "a list of whole numbers, for example `seeds: [0, 1, 2]`",
    "sync_model": "the id of one sync model; `lipbench list sync-models` shows what there is",
    "protocol": "`realvideo` or `cropped`; docs/metrics.md says what they are",
    "sync": "a mapping of further options of the sync metrics; docs/running.md has them",
    "allow_missing": 'a list of glob patterns of metrics, for example `allow_missing: ["lpips_*"]`',
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

    @field_validator("id")
    @classmethod
    def _present_id(cls, value: str | None) -> str | None:
        return None if value is None else registry.present(value)

    @model_validator(mode="after")
    def _one_source(self) -> MethodEntry:
        if (self.id is None) == (self.file is None):
            raise mistake("give either id (a registered method) or file (an external one)", METHODS)
        return self


class MetricEntry(BaseModel):
    """What to measure: a family, a metric or a glob pattern of either (`psnr_*`), with options of its family."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="Family id, metric id or glob pattern.")
    params: dict[str, Any] = Field(default_factory=dict, description="Options of the family.")

    @model_serializer
    def _as_written(self) -> Any:
        return {"id": self.id, "params": self.params} if self.params else self.id

    def asks(self, family: str, metric: str) -> bool:
        """Whether this entry means a metric of a family."""
        return fnmatchcase(family, self.id) or fnmatchcase(metric, self.id)


MethodField = Annotated[MethodEntry, or_text("id", str | MethodEntry)]
MetricField = Annotated[MetricEntry, or_text("id", str | MetricEntry)]


class RunFile(BaseModel):
    """A benchmark run.

    Fields that cannot change a number (workers, timeouts, retries) are options of the command, not of this file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = Field(1, alias="schema", description="Version of this format.")
    name: str = Field("run", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Names the run directory.")
    manifest: str = Field(description="A manifest file, relative to this file, or the name of a data set.")
    split: str | None = Field(None, description="Only the clips of this split of the manifest.")
    methods: tuple[MethodField, ...] = Field(min_length=1, description="The rows of the comparison.")
    metrics: tuple[MetricField, ...] = Field((), description="Metric or family ids, with options; empty = all.")
    recipe: str | None = Field(
        None, description="Measure as a paper's script does: sets `metrics` with their options; docs/metrics.md."
    )
    clips: tuple[str, ...] = Field(("*",), description="Glob patterns.")
    languages: tuple[str, ...] = Field((), description="Dub languages; empty = all in the manifest.")
    original: bool = Field(False, description="Also the clip's own audio, as a reconstruction test.")
    train_seconds: tuple[float | None, ...] = Field((None,), description="Training lengths; null = the whole clip.")
    seeds: tuple[int, ...] = Field((0,), description="Seeds of methods that use one.")
    sync_model: str = Field(
        "syncnet_v2", description="Weights behind LSE-D and LSE-C: option sync_model of the sync family."
    )
    protocol: Literal["realvideo", "cropped"] = Field(
        "realvideo", description="How the sync model sees the face: option protocol of the sync family."
    )
    sync: dict[str, Any] = Field(default_factory=dict, description="Further options of the sync family.")
    fps: float = Field(25.0, gt=0, le=120, description="Frame rate that every clip is brought to.")
    faces: str = Field("mediapipe-face", description="Face backend for clips without landmark files.")
    allow_missing: tuple[str, ...] = Field(
        (), description="Metrics that may end without a number in any cell, glob patterns."
    )

    @model_validator(mode="before")
    @classmethod
    def _present_fields(cls, data: Any) -> Any:
        return renames.present_fields("the field", data)

    @model_validator(mode="before")
    @classmethod
    def _by_recipe(cls, data: Any) -> Any:
        """`recipe` stands for metrics and options of sync; options that the file gives win."""
        if not isinstance(data, dict) or not isinstance(data.get("recipe"), str):
            return data
        from lipbench.metrics import recipes

        recipe = recipes.load(data["recipe"])
        metrics = recipe.entries()
        if data.get("metrics") and list(data["metrics"]) != metrics:
            raise mistake("a recipe names its metrics itself", "leave `metrics` or `recipe` out")
        sync = data.get("sync") or {}
        options = {**recipe.options.get("sync", {}), **(sync if isinstance(sync, dict) else {})}
        # What has a field of its own is said there.
        own = {name: options.pop(name) for name in ("sync_model", "protocol") if name in options and name not in sync}
        return {**own, **data, "metrics": metrics, "sync": options}

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
        why = "it is empty" if data is None else f"this is a {type(data).__name__}"
        raise ManifestError(f"{where}: a run file is a mapping", why, "write `manifest:` and `methods:`, one a line")
    return _checked(of_mapping(data, where))


def _checked(document: Document) -> RunFile:
    run, problems = validate(RunFile, document)
    problems += unclear(document, _is_inside_parameter)
    if run is None or problems:
        raise invalid([replace(p, hint=_hint(p)) for p in problems])
    return run


def _is_inside_parameter(location: Location) -> bool:
    """Whether a place is in a parameter that is a mapping, such as LipNeRF's `settings`; plain ones have a type."""
    return "params" in location[2:3] and any(isinstance(part, str) for part in location[4:])


def _hint(problem: Problem) -> str:
    """How to write the field: this format's hint for its name where the problem has none of its own."""
    if problem.hint and not problem.general:
        return problem.hint
    return HINTS.get(re.split(r"[.\[]", problem.missing or problem.field)[0], problem.hint)


def json_schema() -> str:
    """The format's JSON Schema as text, for editors; the packaged `run.schema.json` is this."""
    return json.dumps(fields.json_schema(RunFile, "lipbench run file, schema 1"), indent=2) + "\n"
