#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10", "uv"]
# ///
"""Everything that is done to this repository: `nox -s demo`, `tests`, `lint`, `types`, `wheel`, `docs`, ..."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

#: Containers often forbid to keep bytecode, and uv installs none: each process would compile torch and the rest anew,
#: which doubles what its start costs. Runs and tests start many.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

PYPROJECT = nox.project.load_toml("pyproject.toml")
GROUPS = PYPROJECT["dependency-groups"]
#: One thread: the machines are shared, and oversubscribed threads spin.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
FAST = ("-n", "2", "--dist", "worksteal", "-m", "not slow and not gpu and not net and not ray", "--ignore=tests/bench")
OLDEST = int(PYPROJECT["project"]["requires-python"].removeprefix(">=3."))


def answers(python: str) -> bool:
    """Whether there is such an interpreter, and it starts; a shim without its version does not."""
    path = shutil.which(python)
    return path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


def ends() -> list[str]:
    """The lowest and the newest Python of this machine, of those that lipbench admits."""
    # pyenv's shims answer only for versions that are named; the one in use stays the first.
    installed = sorted(
        path.name for path in Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser().glob("versions/3.*")
    )
    if installed and "PYENV_VERSION" not in os.environ and (pyenv := shutil.which("pyenv")):
        used = subprocess.run([pyenv, "version-name"], capture_output=True, text=True).stdout.strip()
        os.environ["PYENV_VERSION"] = ":".join(dict.fromkeys([*used.split(":"), *installed]))
    here = [f"3.{minor}" for minor in range(OLDEST, OLDEST + 10) if answers(f"python3.{minor}")]
    return list(dict.fromkeys([here[0], here[-1]])) if here else []


ENDS = ends()


def install(session: nox.Session, *groups: str) -> None:
    """lipbench itself, editable, with the dependency groups; `--no-install` skips it on a rerun."""
    session.install("-e", ".", *(package for group in groups for package in GROUPS[group]))


@nox.session
def demo(session: nox.Session) -> None:
    """The main job: benchmark the packaged demo corpus; further arguments go to `lipbench run`."""
    install(session)
    fetch(session, "alexnet", "LPIPS")
    session.run("lipbench", "run", *session.posargs)


def fetch(session: nox.Session, weights: str, what: str) -> None:
    """Weights that may not be in the package, where there is a network; without one the run says what it lacks."""
    try:
        session.run("lipbench", "weights", "get", weights)
    except CommandFailed:
        session.warn(f"going on without the weights {weights}: {what} stays empty, and its cells say why")


@nox.session
def tests(session: nox.Session) -> None:
    """The fast tests, in two processes; further arguments go to pytest."""
    install(session, "test")
    session.run("pytest", *(session.posargs or FAST), env=ONE_THREAD)


@nox.session(default=False)
def ray(session: nox.Session) -> None:
    """Clusters of several raylets on this machine: lost nodes, lost drivers. Skips where Ray has no wheel."""
    install(session, "test")
    try:
        session.install("-e", ".[ray]")
    except CommandFailed:
        session.skip("Ray cannot be installed here")
    session.run("pytest", "-m", "ray", "tests/engine", *session.posargs, env=ONE_THREAD)


@nox.session(name="tests-lowest", python=ENDS, default=False)
def tests_lowest(session: nox.Session) -> None:
    """The fast tests with the lowest version of each direct dependency that has a wheel for this Python."""
    session.install("uv")
    # Not in create_tmp(), which would put the tests' own folders below this repository.
    lock = Path(session.virtualenv.location) / "lowest.txt"
    # python_speech_features was only ever published as source.
    only = ("--only-binary", ":all:", "--no-binary", "python_speech_features")
    # The resolver's own comments name package hosts and paths.
    quiet = ("--quiet", "--no-header", "--no-annotate")
    session.run(
        "uv", "pip", "compile", "--resolution", "lowest-direct", *only, *quiet, "-o", str(lock), "pyproject.toml"
    )
    session.install("-r", str(lock), *GROUPS["test"])
    session.install("--no-deps", "-e", ".")
    session.run("pytest", *FAST, *session.posargs, env=ONE_THREAD)


@nox.session(name="tests-newest", python=ENDS, default=False)
def tests_newest(session: nox.Session) -> None:
    """The fast tests with the newest version of every dependency; paths after `--` narrow them."""
    session.install("--upgrade", "-e", ".", *GROUPS["test"])
    session.run("pytest", *FAST, *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    session.install(*GROUPS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy over the package, and over the examples that CONTRIBUTING.md prints."""
    install(session, "test", "types")
    session.run("mypy")
    session.run("pytest", "tests/test_contributing.py", "-k", "type_checker")


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The documentation as pages in site/, without a warning and without anything from other hosts."""
    install(session, "docs")
    # Material announces its successor at every start.
    session.run("python", "-m", "mkdocs", "build", "--strict", *session.posargs, env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Timings side by side with the anchors; never fails on a time."""
    install(session, "test")
    session.run("pytest", "tests/bench", "--benchmark-sort=name", *session.posargs, env=ONE_THREAD)


def wheel_pythons() -> list[str]:
    """The machine's own Python, and the newest other one; the lowest where the own one is the newest."""
    others = [version for version in reversed(ENDS) if version != f"3.{sys.version_info.minor}"]
    return [sys.executable, *(f"python{version}" for version in others[:1])]


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """sdist and wheel: what is in them, and one clip of the demo with the wheel from plain pip, on two Pythons.

    Further arguments name the Pythons instead. The environments (several GB each) go when their run has passed.
    """
    session.install("build", "twine")
    tmp = Path(session.create_tmp()).resolve()
    shutil.rmtree(tmp, ignore_errors=True)
    tmp.mkdir()
    out = tmp / "dist"
    session.run("python", "-m", "build", "--outdir", str(out), ".", silent=True)
    session.run("python", ".ci/distributions.py", str(out))
    session.run("twine", "check", "--strict", *map(str, out.iterdir()))
    pythons = session.posargs or wheel_pythons()
    if len(pythons) < 2:
        session.warn("one Python only: nothing is known about the wheel on another")
    (built,) = out.glob("*.whl")
    clean = {"PYTHONPATH": None, "PYTHONHOME": None, **ONE_THREAD}
    inside = {"external": True, "env": clean}
    for number, python in enumerate(pythons):
        venv = tmp / f"venv{number}"
        bin_ = venv / "bin"
        # Away from the repository: what is imported is what was installed.
        with tempfile.TemporaryDirectory() as away, session.chdir(away):
            session.run(python, "-m", "venv", str(venv), **inside)
            session.run(str(bin_ / "python"), "-m", "pip", "install", "--quiet", str(built), **inside)
            session.run(
                str(bin_ / "python"), "-c", "import lipbench, sys; print(sys.version, lipbench.__file__)", **inside
            )
            session.run(str(bin_ / "lipbench"), "--version", **inside)
            # Media in and out, faces, the sync model and the picture metrics on one dub.
            chosen = ("--method", "dubbed,truth", "--clip", "demo-en", "--lang", "fr")
            session.run(str(bin_ / "lipbench"), "run", "--out", "run", *chosen, **inside)
        shutil.rmtree(venv)


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """A sample of mutants of six files against their tests, one process, some ten minutes; prints what survives."""
    install(session, "test")
    session.install("cosmic-ray>=8.7")
    session.run("python", "tools/mutation.py", *session.posargs, env=ONE_THREAD)


if __name__ == "__main__":
    nox.main()
