"""Method files that come with lipbench, registered under their names: `lipbench dub musetalk ...` needs no file.

None of the methods is in here: the user clones each into $LIPBENCH_REPOS (default ~/.cache/lipbench/repos) and makes
its environment; `lipbench list methods` shows the commands. The files were written from the repositories at the commits
they name; their networks have not been run, and each says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from lipbench.baselines.external.method import ExternalMethod
from lipbench.baselines.external.places import repos
from lipbench.baselines.external.reading import MethodFile, read
from lipbench.baselines.external.spec import FOLDER

_VARIABLE = "${LIPBENCH_REPOS}"


@cache
def names() -> tuple[str, ...]:
    """Names of the ready files."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def ready(name: str) -> ExternalMethod:
    """The method of a ready file, its checkout looked for below `repos()`.

    Raises:
        ManifestError: the file is wrong.
    """
    located = read(FOLDER / f"{name}.yaml")
    repo = located.definition.repo
    placed = repo.model_copy(update={"path": repo.path.replace(_VARIABLE, str(repos()))})
    return ExternalMethod(
        MethodFile(definition=located.definition.model_copy(update={"repo": placed}), file=located.file)
    )


def __getattr__(name: str) -> Callable[[], ExternalMethod]:
    """`ready.er_nerf` makes the method er-nerf: what the registry's "module:attribute" needs."""
    wanted = name.replace("_", "-")
    if wanted not in names():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return lambda: ready(wanted)
