"""What the evaluation scripts of papers compute, as data: one YAML file each, read by `load`.

A recipe names a script, the metrics of lipbench that compute what it prints, under which options, and in what the two
still differ. `lipbench score --as NAME` and `recipe: NAME` in a run file measure by it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lipbench.core import registry, yaml
from lipbench.core.document import Kind, invalid
from lipbench.core.fields import validate

FOLDER = Path(__file__).parent
KIND = Kind("recipe", "id: talklip", "`lipbench list recipes` shows what there is")


class Printed(BaseModel):
    """A number that the script prints."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="As the script prints it.")
    metric: str = Field(description="The metric of lipbench that is this number.")


class Checked(BaseModel):
    """One number of one clip: what the script's own code printed when it was run, and what lipbench measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip: str = Field(description="What it was run on.")
    name: str = Field(description="As the script prints it.")
    script: float = Field(description="The script's number.")
    lipbench: float = Field(description="The number under this recipe.")
    why: str = Field("", description="What makes them differ by more than the decoding.")


class Recipe(BaseModel):
    """How one evaluation script measures."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(description="Its name: `--as ID`.")
    title: str = Field(description="Whose evaluation it is.")
    repository: str = Field(description="Address of the code; empty for a paper without code.")
    commit: str = Field(description="Of the repository, as it was read.")
    script: str = Field(description="Files in it.")
    prints: tuple[Printed, ...] = Field(min_length=1, description="Its numbers.")
    options: dict[str, dict[str, Any]] = Field(default_factory=dict, description="Family -> options.")
    frames: Literal["by time", "by number"] = Field(
        "by time",
        description="How frames of two videos are paired: at one rate, or one by one as they are stored, whatever the "
        "rates, up to the end of the shorter video.",
    )
    crops: str = Field(description="Which part of the picture is measured, and how it is cut out.")
    codec: str = Field(description="What the files go through first.")
    aggregation: str = Field(description="From frames to a clip, from clips to the printed number.")
    faults: tuple[str, ...] = Field((), description="Of the script: reproduced where a metric says so.")
    differs: tuple[str, ...] = Field((), description="In what lipbench's numbers still differ.")
    checked: tuple[Checked, ...] = Field((), description="Against the script's own code.")
    check: str = Field("", description="How that was done.")

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that it needs."""
        return tuple(dict.fromkeys(printed.metric for printed in self.prints))

    def entries(self) -> list[Any]:
        """Its metrics as a run file names them: an id, with the options of its family where there are some."""
        found: list[Any] = []
        for metric in self.metrics:
            family = next(f for f in registry.names("metrics") if _measures(f, metric))
            options = self.options.get(family, {})
            found.append({"id": metric, "params": options} if options and family != "sync" else metric)
        return found

    def facts(self) -> dict[str, Any]:
        """What an answer says of it, as JSON."""
        return self.model_dump(mode="json", exclude={"checked", "check", "options"})


def _measures(family: str, metric: str) -> bool:
    return any(spec.id == metric for spec in registry.load("metrics", family).metrics)


def names() -> tuple[str, ...]:
    """The recipes that there are."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


def load(name: str) -> Recipe:
    """The named recipe.

    Raises:
        UnknownName: with the nearest names.
    """
    if name not in names():
        raise registry.unknown("recipes", name, list(names()))
    found, problems = validate(Recipe, yaml.read(FOLDER / f"{name}.yaml", KIND))
    if found is None:
        raise invalid(problems)
    return found
