"""What is installed in an environment that a recipe made, and what was installed when it was made."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lipbench.baselines.external.config_env import Env
from lipbench.baselines.external.environment import clean_variables, folder_of
from lipbench.baselines.external.places import envs
from lipbench.baselines.external.reading import MethodFile
from lipbench.core.atomic import write_text
from lipbench.core.errors import Refused
from lipbench.core.keys import key_of

SCHEMA = 1
_SETUP = "lipbench method setup"


@dataclass(frozen=True)
class Built:
    """What `lipbench method setup` has made.

    Attributes:
        name: of the method.
        type: of the environment.
        recipe: digest of the recipe.
        place: folder of a venv or conda environment; name of a docker image.
        installed: name, version and build of every package; id of a docker image.
        tool: what made it, with its version.
        commit: of the checkout at that time.
        made: when, UTC.
    """

    name: str
    type: str
    recipe: str
    place: str
    installed: tuple[str, ...]
    tool: str
    commit: str
    made: str


def recipe_digest(env: Env) -> str:
    """Digest of all that an environment is built from."""
    recipe = None if env.recipe is None else env.recipe.model_dump(mode="json")
    named = env.name_or_path if env.type == "docker" and recipe and not recipe["dockerfile"] else ""
    return key_of({"type": env.type, "python": env.python, "recipe": recipe, "image": named, "digest": env.digest})[:16]


def record_file(name: str) -> Path:
    """Where the record of a method's environment lies."""
    return envs() / f"{name}.json"


def write_record(built: Built) -> Path:
    """Keep what was made; where it lies.

    Raises:
        OSError: it cannot be written.
    """
    file = record_file(built.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps({"schema": SCHEMA, **asdict(built)}, indent=1) + "\n")
    return file


def read_record(located: MethodFile) -> Built | None:
    """What was made for a method; None when nothing was, or at another place."""
    try:
        data = json.loads(record_file(located.definition.name).read_text())
        if data.pop("schema") != SCHEMA:
            return None
        built = Built(**{**data, "installed": tuple(data["installed"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return built if built.place == place_of(located.definition.env) else None


def place_of(env: Env) -> str:
    """The folder of an environment, or the name of an image."""
    if env.type == "docker":
        return env.name_or_path
    return str(folder_of(env))


def installed(folder: Path) -> tuple[str, ...]:
    """Python and the packages of a venv or conda environment, read from its files: nothing is started."""
    found = set()
    for info in folder.glob("lib/python*/site-packages/*.dist-info"):
        name = info.name.removesuffix(".dist-info")
        try:
            source = json.loads((info / "direct_url.json").read_text())
        except (OSError, ValueError):
            source = {}
        commit = source.get("vcs_info", {}).get("commit_id", "")
        found.add(f"{name}@{commit}" if commit else name)
    found |= {f"conda:{file.stem}" for file in folder.glob("conda-meta/*.json")}
    try:
        lines = (folder / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        lines = []
    said = {line.partition("=")[0].strip(): line.partition("=")[2].strip() for line in lines}
    if version := said.get("version_info", said.get("version", "")):
        found.add(f"python-{version}")
    return tuple(sorted(found))


def identity_of(located: MethodFile) -> dict[str, Any] | None:
    """What of an environment is part of the key: the image of a container, the packages that a recipe has brought.

    None for environments that were made by hand: nobody has said what they should be.

    Raises:
        Refused: reason "env_missing" or "env_mismatch".
    """
    env = located.definition.env
    if env.type == "docker":
        return {"image": image_digest(env)}
    if env.recipe is None or env.type not in ("venv", "conda"):
        return None
    return {"installed": key_of({"packages": installed(folder_of(env))})[:16]}


def check_built(located: MethodFile) -> None:
    """An environment with a recipe was made from this one, if lipbench has made it.

    Raises:
        Refused: reason "env_mismatch".
    """
    env, built = located.definition.env, read_record(located)
    if env.recipe is None or built is None or built.recipe == recipe_digest(env):
        return
    raise Refused(
        f"the environment {built.place} was made from another recipe",
        "the method file has been changed since",
        f"make it again: {_SETUP} {located.name_or_file} --again",
        reason="env_mismatch",
    )


def drift(located: MethodFile) -> tuple[list[str], list[str]] | None:
    """Packages that came and that went since it was made; None where lipbench did not make it."""
    env, built = located.definition.env, read_record(located)
    if built is None or env.type not in ("venv", "conda"):
        return None
    now = installed(folder_of(env))
    return sorted({*now} - {*built.installed}), sorted({*built.installed} - {*now})


def image_digest(env: Env) -> str:
    """The digest that a docker image is pinned to, or the id of the one that is here under its name.

    Raises:
        Refused: reason "env_missing", there is none; reason "env_mismatch", it is another one.
    """
    wanted = env.digest or env.name_or_path.partition("@")[2]
    seen = _inspect(env.name_or_path)
    if seen is None:
        raise Refused(
            f"there is no docker image {env.name_or_path}",
            "`docker image inspect` does not know it",
            f"docker pull {env.name_or_path}, or `{_SETUP}` where the method file has a recipe",
            reason="env_missing",
        )
    known = [seen["Id"], *(name.partition("@")[2] for name in seen.get("RepoDigests") or ())]
    if wanted and wanted not in known:
        raise Refused(
            f"the docker image {env.name_or_path} is another one than the method file names",
            f"it is {known[-1][:19]}..., wanted {wanted[:19]}...",
            "pull the one with that digest, or correct `digest` in the method file",
            reason="env_mismatch",
        )
    return wanted or str(seen["Id"])


@lru_cache(maxsize=64)
def _inspect(image: str) -> dict[str, Any] | None:
    """What docker knows of an image; asked once, for a plan asks for every row."""
    words = ["docker", "image", "inspect", "--format", "{{json .}}", image]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=clean_variables(), check=False)
        seen = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return seen if isinstance(seen, dict) and "Id" in seen else None


def forget_images() -> None:
    """Ask again about images: one has been pulled or built."""
    _inspect.cache_clear()
