"""Methods in environments of their own: the one that takes any method file, and the files that come with lipbench."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from lipbench.core.method import MethodSpec, Params

#: Where the method files that come with lipbench lie.
FOLDER = Path(__file__).parent / "methods"


class ExternalParams(Params):
    args: tuple[str, ...] = Field(default=(), description="Words to append to the command.")
    speaker: str = Field(default="", description="Who speaks in the clip, for methods that have learnt one person.")


class FileParams(ExternalParams):
    file: str = Field(description="The method file (YAML).", json_schema_extra={"path": True})


SPEC = MethodSpec(
    "external",
    "1",
    "External",
    licence="that of the method",
    needs=frozenset({"faces"}),
    uses_seed=True,
    params=FileParams,
    implementation="lipbench.baselines.external.method:External",
)

METHODS = (SPEC,)

#: What is known about them stands in the files; `ready` reads it.
METHOD_FACTORIES = {
    file.stem: f"lipbench.baselines.external.ready:{file.stem.replace('-', '_')}"
    for file in sorted(FOLDER.glob("*.yaml"))
}
