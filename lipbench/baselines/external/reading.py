"""Reading a method file, with errors that name the line."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.places import envs
from lipbench.core import fields, yaml
from lipbench.core.document import Kind, invalid

KIND = Kind("method file", "name: my-method", "give the path of a method file (YAML)")
#: Fields whose content goes to a program of unknown parameters.
FREE = (("entry", "init"), ("entry", "args"))


class MethodFile(BaseModel):
    """A definition and the file it came from."""

    model_config = ConfigDict(frozen=True)

    definition: Definition
    file: Path

    @cached_property
    def repo(self) -> Path:
        """The checkout's absolute folder (it need not exist)."""
        text = os.path.expandvars(self.definition.repo.path)
        return (self.file.parent / Path(text).expanduser()).resolve()

    @property
    def name_or_file(self) -> str:
        """What commands call it: the name of a file that comes with lipbench, else the path."""
        from lipbench.baselines.external.spec import FOLDER

        return self.definition.name if self.file.parent == FOLDER.resolve() else str(self.file)

    def weights_file(self, path: str) -> Path:
        """Where a weight file of the definition lies: in the checkout, or in the home folder (`~/...`)."""
        return self.repo / Path(path).expanduser()


def json_schema() -> str:
    """The format's JSON Schema as text, for editors; the packaged `method.schema.json` is this."""
    return json.dumps(fields.json_schema(Definition, "lipbench external method"), indent=2) + "\n"


def read(path: str | Path) -> MethodFile:
    """Read and check a method file.

    Raises:
        ManifestError: naming file, line, field and what to change.
    """
    path = Path(path).expanduser()
    document = yaml.read(path, KIND)
    definition, problems = fields.validate(Definition, document)
    problems += fields.unclear(document, lambda location: location[:2] in FREE)
    if definition is None or problems:
        raise invalid(problems)
    return MethodFile(definition=_placed(definition), file=path.resolve())


def _placed(definition: Definition) -> Definition:
    """With a place for the environment that a recipe makes, where the file names none."""
    env = definition.env
    if env.recipe is None or env.name_or_path:
        return definition
    place = f"lipbench/{definition.name}" if env.type == "docker" else str(envs() / definition.name)
    return definition.model_copy(update={"env": env.model_copy(update={"name_or_path": place})})
