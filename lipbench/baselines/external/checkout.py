"""Is everything there that an external method needs, and exactly what is it? Commit, weights, environment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lipbench.baselines.external import environment, repository
from lipbench.baselines.external.config import WeightFile
from lipbench.baselines.external.installation import record
from lipbench.baselines.external.reading import MethodFile
from lipbench.baselines.external.service.client import Service
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
        Refused: reason "repo_missing", "repo_mismatch", "env_missing" or "env_mismatch".
        WeightsMissing, WeightsMismatch.
    """
    repo(located)
    _environment(located)
    for weights in located.definition.weights:
        weight_hash(located, weights)


def doctor(located: MethodFile) -> list[Finding]:
    """Every check on its own, for people."""
    definition = located.definition
    if definition.env.type == "http":
        return _findings([(f"service {definition.env.url}", lambda: Service(definition).version())])
    checks: list[tuple[str, Any]] = [
        (f"repo {located.repo}", lambda: repo(located)),
        (f"environment {definition.env.type} {definition.env.name_or_path}".rstrip(), lambda: _environment(located)),
    ]
    try:
        parts = repository.submodules(located.repo)
    except LipbenchError:
        parts = {}  # the repo's own line says what is wrong
    if record.read_record(located) is not None:
        checks.append(("packages as they were made", lambda: _undrifted(located)))
    checks += [(f"submodule {n}", lambda n=n, there=t: _submodule(located, n, there)) for n, t in parts.items()]
    checks += [(f"weights {w.path}", lambda w=w: weight_hash(located, w)) for w in definition.weights]
    return _findings(checks)


def _findings(checks: list[tuple[str, Any]]) -> list[Finding]:
    findings = []
    for what, look in checks:
        try:
            look()
            findings.append(Finding(what, True))
        except LipbenchError as error:
            findings.append(Finding(what, False, error.one_line(), error.reason))
    return findings


def repo(located: MethodFile) -> dict[str, Any]:
    """Which code is there; see `repository.state`.

    Raises:
        Refused: reason "repo_missing" or "repo_mismatch".
    """
    return repository.state(located)


def _environment(located: MethodFile) -> None:
    """It is there, and is the one of the method file.

    Raises:
        Refused: reason "env_missing" or "env_mismatch".
    """
    definition = located.definition
    environment.check(definition.env, definition.needs.binaries, located.name_or_file)
    record.check_built(located)
    if definition.env.type == "docker":
        record.image_digest(definition.env)


def _undrifted(located: MethodFile) -> None:
    came, went = record.drift(located) or ([], [])
    if came or went:
        raise Refused(
            "the environment is no longer as it was made",
            "; ".join(f"{word} {', '.join(names[:8])}" for word, names in (("new:", came), ("gone:", went)) if names),
            f"make it again: lipbench method setup {located.name_or_file} --again",
            reason="env_mismatch",
        )


def _submodule(located: MethodFile, name: str, there: bool) -> None:
    if not there:
        raise Refused(
            f"the submodule {name} is empty",
            "the checkout was cloned without its submodules",
            f"git -C {located.repo} submodule update --init --recursive",
            reason="repo_mismatch",
        )


def weight_hash(located: MethodFile, weights: WeightFile) -> str | None:
    """SHA-256 of a weight file; None for an optional one that is not there.

    Raises:
        WeightsMissing, WeightsMismatch.
    """
    path = located.weights_file(weights.path)
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
