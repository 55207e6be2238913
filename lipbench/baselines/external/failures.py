"""Why an external method failed, in one word: the method file's regexes first, then what all have in common."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping

from lipbench.baselines.external.process import ProcessResult
from lipbench.core.errors import LipbenchError, NoFace, Refused, WeightsMissing

COMMON = {
    "oom": r"CUDA (error: )?out of memory|OutOfMemoryError|MemoryError|bad_alloc|Cannot allocate memory",
    "env_missing": r"EnvironmentLocationNotFound|Unable to find image|No such container|ModuleNotFoundError",
    "no_face": r"(?i)no face (was )?(found|detected)|face not detected|could not detect (a|any) face",
}
_ADVICE = {
    "timeout": "raise timeout_s in the method file, or use shorter clips",
    "oom": "use a machine or GPU with more memory, or smaller batches in the method file",
    "env_missing": "install what is missing in the method's environment",
    "no_face": "use a clip that shows the speaker's face",
}
_LOGS = "see stdout.txt and stderr.txt of the job"


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
        # Nobody here sends SIGKILL before a time-out: the kernel does, when memory is short.
        return "oom" if ended.rc in (-signal.SIGKILL, 128 + signal.SIGKILL) else "crash"
    return None


def said(output: str, failures: Mapping[str, str]) -> str | None:
    """A reason found in the output of a command that ended well but made nothing."""
    merged = {**failures, **{k: v for k, v in COMMON.items() if k not in failures}}
    return next((reason for reason, pattern in merged.items() if re.search(pattern, output)), None)


def error(name: str, reason: str, ended: ProcessResult, output: str) -> LipbenchError:
    """The error to raise, with the command's last words."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    words = lines[-1][:200] if lines else "it wrote nothing"
    what = {
        "timeout": f"{name} did not end in {ended.wall_s:.0f} s",
        "env_missing": f"{name} could not be started",
        "no_face": f"{name} found no face",
        "oom": f"{name} ran out of memory",
    }.get(reason, f"{name} ended with {_how(ended)}")
    why = ended.reason or words
    fix = _ADVICE.get(reason, _LOGS)
    if reason == "no_face":
        return NoFace(what, why, fix)
    if reason == "weights_missing":
        return WeightsMissing(what, why, fix)
    kind = Refused if reason in ("env_missing", "gpu_missing", "repo_missing") else LipbenchError
    return kind(what, why, fix, reason=reason)


def _how(ended: ProcessResult) -> str:
    if ended.rc is not None and ended.rc < 0:
        try:
            return f"signal {signal.Signals(-ended.rc).name}"
        except ValueError:
            return f"signal {-ended.rc}"
    return f"code {ended.rc}"
