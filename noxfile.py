#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2024.10", "uv"]
# ///
"""Everything that is done to this repository: `nox -s demo`, `tests`, `lint`, `types`, `wheel`, `bench`."""

from __future__ import annotations

import os
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
    chosen = session.posargs or ["-n", "2", "-m", "not slow and not gpu and not net", "--ignore=tests/bench"]
    session.run("pytest", *chosen, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and format."""
    session.install(*GROUPS["lint"])
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy over the package."""
    install(session, "types")
    session.run("mypy")


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


@nox.session(default=False)
def mutation(session: nox.Session) -> None:
    """A sample of mutants of six files against their tests, one process, some ten minutes; prints what survives."""
    install(session, "test")
    session.install("cosmic-ray>=8.7")
    session.run("python", "tools/mutation.py", *session.posargs, env=ONE_THREAD)


if __name__ == "__main__":
    nox.main()
