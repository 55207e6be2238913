"""Exactly which code a checkout holds: its commit, local edits, files that git does not know, submodules."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from lipbench.baselines.external.reading import MethodFile
from lipbench.core.errors import Refused
from lipbench.core.keys import sha256_file

#: Where a folder is no checkout: what counts as code.
_SOURCES = (".py", ".sh", ".yaml", ".yml", ".json")


def state(located: MethodFile) -> dict[str, Any]:
    """What of the checkout can change pixels.

    Returns:
        {"commit", "changes"} of a git checkout: `changes` is the hash of all that differs from the commit, "" for
        nothing. Files that git does not know count, but those it ignores, the listed weights (hashed by themselves),
        and what lies in `writable` and `caches` or at the output's place. {"files"} of a plain folder.

    Raises:
        Refused: reason "repo_missing" or "repo_mismatch".
    """
    wanted, folder = located.definition.repo, located.repo
    if not folder.is_dir():
        clone = f"git clone {wanted.url} {folder}" if wanted.url else f"put the method's code into {folder}"
        raise Refused(
            f"the code of {located.definition.name} is not there",
            f"{folder} is no folder",
            clone,
            reason="repo_missing",
        )
    if not (folder / ".git").exists():  # a plain folder inside somebody else's repository is no checkout
        if wanted.commit:
            raise Refused(
                f"{folder} is no git checkout",
                f"the method file asks for commit {wanted.commit}",
                f"git clone {wanted.url} {folder}",
                reason="repo_mismatch",
            )
        return {"files": _tree(folder, _apart(located))}
    commit = _git(folder, "rev-parse", "HEAD").strip()
    if wanted.commit and not commit.startswith(wanted.commit):
        raise Refused(
            f"{folder} is at another commit",
            f"it is at {commit[:12]}, the method file was written for {wanted.commit}",
            f"git -C {folder} checkout {wanted.commit}, or change `commit` in the method file",
            reason="repo_mismatch",
        )
    changes = list(_changes(folder, Path(), _apart(located)))
    return {"commit": commit, "changes": _digest(changes) if changes else ""}


def submodules(folder: Path) -> dict[str, bool]:
    """Submodules of a checkout -> whether each one's files are there; empty where `folder` is none."""
    if not (folder / ".git").exists():
        return {}
    lines = _git(folder, "ls-files", "--stage", "-z").split("\0")
    found = [line.partition("\t")[2] for line in lines if line.startswith("160000 ")]
    return {name: (folder / name / ".git").exists() for name in found}


def _changes(folder: Path, here: Path, apart: Iterable[str]) -> Iterable[str]:
    """One text for everything in which a checkout differs from its commit, its submodules from theirs."""
    diff = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-color", "--full-index", "--ignore-submodules=all")
    if diff.strip():
        yield f"{here} {diff}"
    for name in sorted(filter(None, _git(folder, "ls-files", "-o", "--exclude-standard", "-z").split("\0"))):
        path, place = folder / name, (here / name).as_posix()
        if _is_apart(place, apart):
            continue
        if (path / ".git").exists():  # somebody's clone within the clone
            yield f"{place} is at {_git(path, 'rev-parse', 'HEAD').strip()}"
            yield from _changes(path, here / name, apart)
        if not path.is_file():
            continue
        stat = path.stat()
        yield f"{place} {_hash(str(path), stat.st_size, stat.st_mtime_ns)}"
    for name, there in sorted(submodules(folder).items()):
        inner = folder / name
        if not there:
            yield f"{here / name} is not there"
            continue
        head, asked = _git(inner, "rev-parse", "HEAD").strip(), _git(folder, "rev-parse", f"HEAD:{name}").strip()
        if head != asked:
            yield f"{here / name} is at {head}"
        yield from _changes(inner, here / name, apart)


def _apart(located: MethodFile) -> tuple[str, ...]:
    """Paths in the checkout that are no part of its identity."""
    d = located.definition
    places = [*(w.path for w in d.weights), *d.writable, *d.caches]
    if "{" not in d.output.pattern:
        places.append(d.output.pattern)
    inside = [Path(p).as_posix() for p in places if not p.startswith(("~", "/"))]
    if located.file.is_relative_to(located.repo):
        inside.append(located.file.relative_to(located.repo).as_posix())  # it is hashed by its content
    return tuple(inside)


def _is_apart(place: str, apart: Iterable[str]) -> bool:
    return any(place == a or place.startswith(a + "/") or fnmatchcase(place, a) for a in apart)


def _git(folder: Path, *words: str) -> str:
    """What git answers; asked of this folder, whatever GIT_DIR and the like say.

    Raises:
        Refused: reason "repo_mismatch"; git is not there, or does not want to tell.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, errors="surrogateescape", env=env
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise Refused(
            f"git cannot say what the checkout {folder} holds",
            said[0] if said else "it ended without a word",
            f"see what `git -C {folder} status` says",
            reason="repo_mismatch",
        ) from error
    return done.stdout


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:16]


@lru_cache(maxsize=4096)
def _hash(path: str, size: int, mtime_ns: int) -> str:
    return sha256_file(path)


def _tree(folder: Path, apart: Iterable[str]) -> str:
    """Hash of the source files of a folder that is no checkout."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        place = file.relative_to(folder).as_posix()
        if file.suffix in _SOURCES and file.is_file() and not _is_apart(place, apart):
            digest.update(place.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
