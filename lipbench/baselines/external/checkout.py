"""Is everything there that an external method needs, and exactly what is it? Commit, weights, environment."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lipbench.baselines.external import environment
from lipbench.baselines.external.config import WeightFile
from lipbench.baselines.external.reading import MethodFile
from lipbench.core.errors import LipbenchError, Refused, WeightsMismatch, WeightsMissing
from lipbench.core.keys import sha256_file


@dataclass(frozen=True)
class Finding:
    """One line of `doctor`: what was looked at, whether it is fine, and the error when it is not."""

    what: str
    ok: bool
    message: str = ""
    reason: str = ""


def check(located: MethodFile) -> None:
    """Repo, environment and weights are there and are the ones of the method file.

    Raises:
        Refused: reason "repo_missing", "repo_mismatch" or "env_missing".
        WeightsMissing, WeightsMismatch.
    """
    repo(located)
    environment.check(located.definition.env, located.definition.needs.binaries)
    for weights in located.definition.weights:
        weight_hash(located, weights)


def doctor(located: MethodFile) -> list[Finding]:
    """Every check on its own, for people."""
    definition = located.definition
    checks: list[tuple[str, Any]] = [
        (f"repo {located.repo}", lambda: repo(located)),
        (
            f"environment {definition.env.type} {definition.env.name_or_path}".rstrip(),
            lambda: environment.check(definition.env, definition.needs.binaries),
        ),
    ]
    checks += [(f"weights {w.path}", lambda w=w: weight_hash(located, w)) for w in definition.weights]
    findings = []
    for what, look in checks:
        try:
            look()
            findings.append(Finding(what, True))
        except LipbenchError as error:
            findings.append(Finding(what, False, error.one_line(), error.reason))
    return findings


def repo(located: MethodFile) -> dict[str, Any]:
    """{"commit", "changes"} of a git checkout, {"files"} of a plain folder; `changes` is the hash of local edits.

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
    state = dict(_git(folder) or {})
    if not state:
        if wanted.commit:
            raise Refused(
                f"{folder} is no git checkout",
                f"the method file asks for commit {wanted.commit}",
                f"git clone {wanted.url} {folder}",
                reason="repo_mismatch",
            )
        return {"files": _tree(folder, located.file)}
    if wanted.commit and not str(state["commit"]).startswith(wanted.commit):
        raise Refused(
            f"{folder} is at another commit",
            f"it is at {str(state['commit'])[:12]}, the method file was written for {wanted.commit}",
            f"git -C {folder} checkout {wanted.commit}, or change `commit` in the method file",
            reason="repo_mismatch",
        )
    return state


def weight_hash(located: MethodFile, weights: WeightFile) -> str | None:
    """SHA-256 of a weight file; None for an optional one that is not there.

    Raises:
        WeightsMissing, WeightsMismatch.
    """
    path = located.repo / weights.path
    name = located.definition.name
    if not path.is_file():
        if not weights.required:
            return None
        url = located.definition.repo.url or "its authors"
        raise WeightsMissing(f"{name} needs {weights.path}", f"there is no file {path}", f"get it as {url} describes")
    stat = path.stat()
    if weights.size is not None and stat.st_size != weights.size:
        raise WeightsMismatch(
            f"{path} is not the file that {name} needs", f"{stat.st_size} bytes, wanted {weights.size}", "get it again"
        )
    digest = _hash(str(path), stat.st_size, stat.st_mtime_ns)
    if weights.sha256 is not None and digest != weights.sha256:
        raise WeightsMismatch(
            f"{path} is not the file that {name} needs",
            f"its SHA-256 is {digest[:16]}..., wanted {weights.sha256[:16]}...",
            "get it again",
        )
    return digest


@lru_cache(maxsize=256)
def _hash(path: str, size: int, mtime_ns: int) -> str:
    return sha256_file(path)


def _git(folder: Path) -> dict[str, Any] | None:
    """None where `folder` is not the top of a checkout (a plain folder inside somebody else's repository is not)."""
    if not (folder / ".git").exists():
        return None
    try:
        commit = _run("git", "-C", str(folder), "rev-parse", "HEAD")
        changes = _run("git", "-C", str(folder), "diff", "HEAD", "--no-ext-diff", "--no-color")
    except (OSError, subprocess.SubprocessError):
        return None
    return {
        "commit": commit.strip(),
        "changes": hashlib.sha256(changes.encode()).hexdigest()[:16] if changes.strip() else "",
    }


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True, errors="replace")
    return done.stdout


def _tree(folder: Path, method_file: Path) -> str:
    """Hash of the source files of a folder that is no checkout (the method file is hashed by its content)."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".py", ".sh", ".yaml", ".yml", ".json") and file.is_file() and file != method_file:
            digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()
