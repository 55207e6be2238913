"""Why an external method failed, in one word: the method file's regexes first, then what all have in common."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipbench.baselines.external.process import ProcessResult
from lipbench.core.errors import LipbenchError, NoFace, Refused, WeightsMissing

COMMON = {
    "oom": r"CUDA (error: )?out of memory|OutOfMemoryError|MemoryError|bad_alloc|Cannot allocate memory",
    "env_missing": r"EnvironmentLocationNotFound|Unable to find image|No such container",
    "no_face": r"(?i)no face (was )?(found|detected)|face not detected|could not detect (a|any) face",
}
#: How Python ends when a module is not there. Anywhere else in the output such a line may be a warning.
_NO_MODULE = re.compile(r"^(?:ModuleNotFoundError|ImportError): No module named '?([\w.]+)'?.*$")
_ADVICE = {
    "timeout": "raise timeout_s in the method file, or use shorter clips",
    "oom": "use a machine or GPU with more memory, or smaller batches in the method file",
    "env_missing": "install what is missing in the method's environment",
    "module_missing": "install it in the method's environment; if it is one of its own files, correct `cwd` or `files`",
    "no_face": "use a clip that shows the speaker's face",
}


@dataclass(frozen=True)
class Logs:
    """Where a command's output is, and what its messages need beside it.

    Attributes:
        stdout: the file.
        stderr: the file.
        limit_s: the time limit of the method file.
        withheld: names of variables that it was not handed.
    """

    stdout: Path
    stderr: Path
    limit_s: float = 0.0
    withheld: Sequence[str] = ()

    def __str__(self) -> str:
        return f"read {self.stdout} and {self.stderr.name}"


def classify(ended: ProcessResult, output: str, failures: Mapping[str, str]) -> str | None:
    """The reason, or None when nothing points to a failure.

    Args:
        ended: how the command ended.
        output: the end of what it wrote.
        failures: reason -> regex from the method file.
    """
    if ended.timed_out:
        return "timeout"
    if ended.rc is None:
        return "env_missing"
    if ended.rc != 0:
        for reason, pattern in {**failures, **{k: v for k, v in COMMON.items() if k not in failures}}.items():
            if re.search(pattern, output):
                return reason
        if ended.rc == 1 and _missing_module(output):
            return "module_missing"
        # Nobody here sends SIGKILL before a time-out: the kernel does, when memory is short.
        return "oom" if ended.rc in (-signal.SIGKILL, 128 + signal.SIGKILL) else "crash"
    return None


def said(output: str, failures: Mapping[str, str], common: bool = True) -> str | None:
    """A reason found in the output of a command that ended well but made nothing.

    Args:
        output: the end of what it wrote.
        failures: reason -> regex from the method file.
        common: also look for what all methods have in common.
    """
    merged = {**failures, **{k: v for k, v in COMMON.items() if common and k not in failures}}
    return next((reason for reason, pattern in merged.items() if re.search(pattern, output)), None)


def error(name: str, reason: str, ended: ProcessResult, output: str, logs: Logs) -> LipbenchError:
    """The error to raise, with the command's last words.

    Args:
        name: of the method.
        reason: what `classify` or `said` answered.
        ended: how the command ended.
        output: the end of what it wrote.
        logs: where the rest of it is.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = lines[-1][:200] if lines else "it wrote nothing"
    module = _missing_module(output)
    what = {
        "timeout": f"{name} did not end within its limit of {logs.limit_s:g} s",
        "env_missing": f"{name} could not be started",
        "module_missing": f"{name} found no module {module}",
        "no_face": f"{name} found no face",
        "oom": f"{name} ran out of memory",
    }.get(reason, f"{name} ended with {_how(ended)}")
    why = ended.reason or words
    fix = _ADVICE.get(reason, str(logs))
    # As whole words: what a program says about a token that it misses.
    if named := [n for n in logs.withheld if re.search(rf"\b{re.escape(n)}\b", output)]:
        fix = f"{', '.join(named)} is not handed over unless the method file says `env: {{pass: [{', '.join(named)}]}}`"
    if reason == "no_face":
        return NoFace(what, why, fix)
    if reason == "weights_missing":
        return WeightsMissing(what, why, fix)
    kind = Refused if reason in ("env_missing", "gpu_missing", "repo_missing") else LipbenchError
    return kind(what, why, fix, reason=reason)


def _missing_module(output: str) -> str:
    """The module whose absence ended a Python program, "" when something else did."""
    said = output.split("\nERROR conda.cli.main_run")[0]  # `conda run` repeats the command behind its last words
    found = _NO_MODULE.match(said.strip().rpartition("\n")[2].strip())
    return found[1] if found else ""


def _how(ended: ProcessResult) -> str:
    if ended.rc is not None and ended.rc < 0:
        try:
            return f"signal {signal.Signals(-ended.rc).name}"
        except ValueError:
            return f"signal {-ended.rc}"
    return f"code {ended.rc}"
