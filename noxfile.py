#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10", "uv"]
# ///
"""Everything that is done to this repository: `nox -s demo`, `tests`, `lint`, `types`, `wheel`, `bench`, ..."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "types", "tests"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
GROUPS = PYPROJECT["dependency-groups"]
#: One thread: the machines are shared, and oversubscribed threads spin.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
FAST = ("-n", "2", "-m", "not slow and not gpu and not net", "--ignore=tests/bench")
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
    session.run("lipbench", "run", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """The fast tests, in two processes; further arguments go to pytest."""
    install(session, "test")
    session.run("pytest", *(session.posargs or FAST), env=ONE_THREAD)


@nox.session(name="tests-lowest", python=ENDS, default=False)
def tests_lowest(session: nox.Session) -> None:
    """The fast tests with the lowest version of each direct dependency that has a wheel for this Python."""
    session.install("uv")
    lock = Path(session.create_tmp()) / "lowest.txt"
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
    install(session, "types")
    session.run("mypy")
    session.run("pytest", "-q", "tests/test_contributing.py", "-k", "type_checker")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Timings side by side with the anchors; never fails on a time."""
    install(session, "test")
    session.run("pytest", "tests/bench", "--benchmark-sort=name", *session.posargs, env=ONE_THREAD)


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it elsewhere, run it from there."""
    session.install("build")
    out = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--wheel", "--outdir", str(out))
    newest = max(out.glob("*.whl"), key=os.path.getmtime)
    session.log(f"{newest.name}: {newest.stat().st_size / 2**20:.1f} MiB")
    session.install(str(newest))
    session.chdir(session.create_tmp())
    session.run("lipbench", "--version")
    session.run("lipbench", "list", "methods")


if __name__ == "__main__":
    nox.main()
