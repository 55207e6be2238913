"""`lipbench method setup`: the checkout and the environment of a method, made as its file says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lipbench.baselines.external import checkout, environment, placeholders, process, repository
from lipbench.baselines.external.config_env import Env
from lipbench.baselines.external.installation.record import (
    Built,
    forget_images,
    image_digest,
    installed,
    place_of,
    read_record,
    recipe_digest,
    record_file,
    write_record,
)
from lipbench.baselines.external.places import envs
from lipbench.baselines.external.reading import MethodFile
from lipbench.core.errors import LipbenchError, Refused

#: Stands in an environment while it is made: one that still has it was not finished.
UNFINISHED = ".lipbench-unfinished"
LIMIT_S = 4 * 3600.0


@dataclass(frozen=True)
class Step:
    """One command of a setup.

    Attributes:
        what: in words.
        argv: its words.
        cwd: where it runs; None: anywhere.
    """

    what: str
    argv: tuple[str, ...]
    cwd: Path | None = None


def steps(located: MethodFile, again: bool = False) -> list[Step]:
    """What `setup` would run now, in order; empty where all is there.

    Args:
        located: the method file.
        again: the environment too where it is there.

    Raises:
        Refused: the checkout is another one, or an environment is there that lipbench did not make.
    """
    return [*_checkout_steps(located), *_environment_steps(located, again)]


def setup(located: MethodFile, *, again: bool = False, say: Callable[[str], None] = print) -> Built | None:
    """Make what is not there: the checkout at its commit with its submodules, and the environment by its recipe.

    Args:
        located: the method file.
        again: make the environment anew.
        say: takes a line before each step.

    Returns:
        What was made of the environment, now or before; None where the file has no recipe.

    Raises:
        Refused: a program is missing, or what is there is not lipbench's to replace.
        LipbenchError: a step failed; its last words and its log.
    """
    env, log = located.definition.env, envs() / f"{located.definition.name}.log"
    _run(_checkout_steps(located), located, log, say)
    if env.type != "http":
        repository.state(located)  # another commit is refused before anything is built on it
    todo = _environment_steps(located, again)
    if env.recipe is None or not todo:
        return read_record(located)
    place = Path(place_of(env))
    record_file(located.definition.name).unlink(missing_ok=True)
    if env.type != "docker" and (again or (place / UNFINISHED).exists()):
        shutil.rmtree(place, ignore_errors=True)
    if env.type != "docker":
        place.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    _run(todo, located, log, say)
    forget_images()
    there = (f"image {image_digest(env)}",) if env.type == "docker" else installed(place)
    if env.type != "docker":
        (place / UNFINISHED).unlink(missing_ok=True)
    built = Built(
        located.definition.name,
        env.type,
        recipe_digest(env),
        place_of(env),
        there,
        _tool_version(env),
        str(repository.state(located).get("commit", "")),
        datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
    file = write_record(built)
    say(f"made in {time.monotonic() - started:.0f} s, {len(there)} packages recorded in {file}")
    return built


def _checkout_steps(located: MethodFile) -> list[Step]:
    repo, folder = located.definition.repo, located.repo
    if located.definition.env.type == "http":
        return []
    if folder.is_dir():
        absent = [name for name, there in repository.submodules(folder).items() if not there]
        fill = ("git", "-C", str(folder), "submodule", "update", "--init", "--recursive")
        return [Step(f"the submodules {', '.join(absent)}", fill)] if absent else []
    if not repo.url:
        raise Refused(
            f"the code of {located.definition.name} is not there",
            f"{folder} is no folder, and the method file names no address",
            f"put the method's code into {folder}",
            reason="repo_missing",
        )
    draft = str(folder.with_name(folder.name + ".part"))
    git = ("git", "-C", draft)
    return [
        Step(f"clone {repo.url}", ("git", "clone", "--no-checkout", repo.url, draft)),
        Step(f"commit {repo.commit or 'HEAD'}", (*git, "checkout", "--quiet", repo.commit or "HEAD")),
        Step("its submodules", (*git, "submodule", "update", "--init", "--recursive")),
        Step(f"put it into {folder}", ("mv", draft, str(folder))),
    ]


def _environment_steps(located: MethodFile, again: bool) -> list[Step]:
    env = located.definition.env
    if env.recipe is None:
        return []
    if env.type == "docker":
        return _docker_steps(located, again)
    place = Path(place_of(env))
    built, unfinished = read_record(located), (place / UNFINISHED).exists()
    if place.exists() and not again and not unfinished:
        if built is None:
            raise Refused(
                f"{place} is there, and lipbench did not make it",
                "it would have to be removed",
                "use it as it is, name another place with `name_or_path`, or make it anew with --again",
                reason="env_mismatch",
            )
        if built.recipe == recipe_digest(env):
            return []
        raise Refused(
            f"{place} was made from another recipe",
            "the method file has been changed since",
            "make it anew with --again",
            reason="env_mismatch",
        )
    return [*(_uv if env.type == "venv" else _conda)(located, place)]


def _uv(located: MethodFile, place: Path) -> Iterator[Step]:
    env = located.definition.env
    recipe = env.recipe
    assert recipe is not None
    yield Step(f"Python {env.python} in {place}", (uv(), "venv", "--python", env.python, str(place)))
    yield _mark(place)
    until = ("--exclude-newer", recipe.until) if recipe.until else ()
    yield from _packages(located, (uv(), "pip", "install", "--python", environment.interpreter(env), *until))
    yield from _commands(located)


def _conda(located: MethodFile, place: Path) -> Iterator[Step]:
    env = located.definition.env
    recipe = env.recipe
    assert recipe is not None
    conda = os.environ.get("CONDA_EXE") or "conda"
    channels = [word for name in recipe.channels for word in ("--channel", name)]
    channels += ["--override-channels"] if channels else []
    words = (conda, "create", "--yes", "--prefix", str(place), *channels, f"python={env.python}", *recipe.conda)
    yield Step(f"Python {env.python} in {place}", words)
    yield _mark(place)
    inside = (conda, "run", "--no-capture-output", "-p", str(place))
    yield from _packages(located, (*inside, "python", "-m", "pip", "install"))
    yield from _commands(located)


def _mark(place: Path) -> Step:
    return Step("", ("touch", str(place / UNFINISHED)))


def _packages(located: MethodFile, installer: tuple[str, ...]) -> Iterator[Step]:
    recipe = located.definition.env.recipe
    assert recipe is not None
    if recipe.packages:
        yield Step("the packages of the recipe", (*installer, *recipe.options, *recipe.packages), located.repo)
    for file in recipe.requirements:
        yield Step(f"the packages of {file}", (*installer, *recipe.options, "-r", file), located.repo)


def _commands(located: MethodFile) -> Iterator[Step]:
    env = located.definition.env
    assert env.recipe is not None
    values = dict.fromkeys(placeholders.NAMES, "")
    values |= {"python": environment.interpreter(env), "repo": str(located.repo), "name": located.definition.name}
    for argv in env.recipe.commands:
        words = placeholders.fill_all(argv, values)
        command = environment.wrap(env, words, {}, cwd=located.repo, mounts=(), label="")
        yield Step(" ".join(argv), command.argv, located.repo)


def _docker_steps(located: MethodFile, again: bool) -> list[Step]:
    env = located.definition.env
    assert env.recipe is not None
    built = read_record(located)
    if built is not None and built.recipe == recipe_digest(env) and not again:
        return []
    if env.recipe.dockerfile:
        words = ("docker", "build", "--tag", env.name_or_path, "--file", env.recipe.dockerfile, ".")
        return [Step(f"the image {env.name_or_path}", words, located.repo)]
    if "@" in env.name_or_path or not env.digest:
        return [Step(f"the image {env.name_or_path}", ("docker", "pull", env.name_or_path))]
    pinned = f"{env.name_or_path.partition(':')[0]}@{env.digest}"
    return [
        Step(f"the image {pinned}", ("docker", "pull", pinned)),
        Step(f"its name {env.name_or_path}", ("docker", "tag", pinned, env.name_or_path)),
    ]


def _run(todo: list[Step], located: MethodFile, log: Path, say: Callable[[str], None]) -> None:
    """Run the steps.

    Raises:
        Refused: reason "env_missing", a program is not there.
        LipbenchError: reason "setup_failed".
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    for program in dict.fromkeys(step.argv[0] for step in todo):
        if shutil.which(program) is None:
            raise Refused(
                f"there is no program {program}",
                "it is not on the PATH, and makes what is missing",
                f"install {program}",
                reason="env_missing",
            )
    for step in todo:
        if step.what:
            say(step.what)
        if step.argv[:2] == ("git", "clone"):
            shutil.rmtree(step.argv[-1], ignore_errors=True)  # of a setup that was interrupted
            Path(step.argv[-1]).parent.mkdir(parents=True, exist_ok=True)
        variables = environment.clean_variables()
        if located.definition.env.type == "venv":
            folder = environment.folder_of(located.definition.env)
            variables |= {
                "VIRTUAL_ENV": str(folder),
                "PATH": f"{folder / 'bin'}{os.pathsep}{variables.get('PATH', '')}",
            }
        ended = process.run(
            step.argv, cwd=step.cwd or log.parent, env=variables, timeout_s=LIMIT_S, stdout=log, stderr=log
        )
        if ended.rc != 0:
            lines = [line.strip() for line in process.tail(log).splitlines() if line.strip()]
            why = ended.reason or (lines[-1][:300] if lines else f"it ended with {ended.rc}")
            raise LipbenchError(
                f"{step.what or step.argv[0]} failed: {' '.join(step.argv)[:200]}",
                why,
                f"read {log}; the same command goes on from there",
                reason="setup_failed",
            )


def uv() -> str:
    """The program: on the PATH, or beside lipbench's own Python, where pip puts it."""
    beside = Path(sys.executable).with_name("uv")
    return "uv" if shutil.which("uv") or not beside.exists() else str(beside)


def _tool_version(env: Env) -> str:
    """Name and version of what makes environments of this type."""
    tool = {"venv": uv(), "conda": os.environ.get("CONDA_EXE") or "conda", "docker": "docker"}[env.type]
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip() or tool


def missing_weights(located: MethodFile) -> list[str]:
    """What is still to be fetched by hand, one line each."""
    found = []
    for weights in located.definition.weights:
        try:
            checkout.weight_hash(located, weights)
        except LipbenchError as error:
            found.append(error.one_line())
    return found
