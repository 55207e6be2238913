"""Running the commands of a method file, and the words for what they end with."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lipbench.baselines.external import environment, failures, placeholders, process
from lipbench.baselines.external.config import Definition
from lipbench.baselines.external.workspace import Workspace
from lipbench.core.errors import LipbenchError
from lipbench.core.job import Job

SHIM = Path(__file__).with_name("shim.py")


def dub_commands(definition: Definition, space: Workspace, args: Sequence[str], seed: int) -> list[list[str]]:
    """The words of every command of one dub, in order, placeholders filled."""
    found = [placeholders.fill_all(argv, space.values) for argv in definition.before]
    if definition.entry is not None:
        interpreter = definition.entry.python or "{python}"
        main = [interpreter, "{work}/shim.py", "{work}/job.json"]
    else:
        main = list(definition.argv or ())
    if definition.caps.seed_flag:
        main += [definition.caps.seed_flag, str(seed)]
    return [*found, [*placeholders.fill_all(main, space.values), *args]]


def logs_of(definition: Definition, out: Path, limit_s: float) -> failures.Logs:
    """Where the commands of a stage write to."""
    withheld = environment.withheld(definition.env)
    return failures.Logs(out / "stdout.txt", out / "stderr.txt", limit_s, withheld)


def run(
    definition: Definition, commands: Sequence[Sequence[str]], space: Workspace, job: Job, gpu: str, logs: failures.Logs
) -> dict[str, Any]:
    """Run commands one after the other.

    Args:
        definition: the method file.
        commands: their words, placeholders filled.
        space: where.
        job: the stage's.
        gpu: the card's word for CUDA_VISIBLE_DEVICES, "" for none.
        logs: take what they write; `limit_s` is for all of them together.

    Returns:
        rc, wall_s and peak_rss_bytes.

    Raises:
        LipbenchError: one of them failed; the reason says how.
    """
    env = definition.env
    own = {name: placeholders.fill(text, space.values) for name, text in env.vars.items()}
    added = environment.variables(env, own, gpu=gpu, threads=job.threads, tmp=space.root / "tmp")
    deadline, peak = time.monotonic() + logs.limit_s, 0
    start = time.monotonic()
    for argv in commands:
        label = f"lipbench-{uuid.uuid4().hex[:12]}"
        command = environment.wrap(env, argv, added, cwd=space.cwd, mounts=space.mounts, label=label)
        job.log(f"{definition.name}: {' '.join(argv)}")
        ended = process.run(
            command.argv,
            cwd=space.cwd,
            env=command.env,
            timeout_s=max(0.0, deadline - time.monotonic()),
            stdout=logs.stdout,
            stderr=logs.stderr,
            kill=command.kill,
        )
        peak = max(peak, ended.peak_rss)
        if ended.strays:
            job.log(f"{definition.name}: ended {ended.strays} processes that it left behind")
        words = last_words(logs)
        if reason := failures.classify(ended, words, definition.failures):
            raise failures.error(definition.name, reason, ended, words, logs)
    return {"rc": 0, "wall_s": round(time.monotonic() - start, 3), "peak_rss_bytes": peak}


def write_entry(definition: Definition, space: Workspace) -> None:
    """The worker that calls a Python function in the method's environment, and what it is told."""
    entry = definition.entry
    assert entry is not None
    shutil.copyfile(SHIM, space.root / "shim.py")  # a container sees the folder, not our package
    job = {
        "call": entry.call,
        "init": _filled(entry.init, space.values),
        "args": _filled(entry.args, space.values),
        **{name: space.values[name] for name in ("video", "audio", "out")},
        "result": str(space.root / "result.json"),
    }
    (space.root / "job.json").write_text(json.dumps(job))


def last_words(logs: failures.Logs) -> str:
    """The end of what a command wrote."""
    return process.tail(logs.stdout) + "\n" + process.tail(logs.stderr)


def explained(error: LipbenchError, definition: Definition, logs: failures.Logs) -> LipbenchError:
    """What the command itself said about a video that cannot be used, if the method file knows the words."""
    if error.reason not in ("length_mismatch", "bad_output"):
        return error
    words = last_words(logs)
    reason = failures.said(words, definition.failures, common=False)
    if reason is None:
        return error
    ended = process.ProcessResult(0, False, 0.0, 0)
    return failures.error(definition.name, reason, ended, f"{words}\n{error.why}", logs)


def lasting(error: LipbenchError, space: Workspace, logs: failures.Logs) -> LipbenchError:
    """The same error with nothing in it that is gone when it is read: the private folder is `{work}`."""
    what, why, fix = (space.named(text) for text in (error.what, error.why, error.fix))
    if error.reason == "bad_output" and "stdout.txt" in fix:
        fix = str(logs)
    return type(error)(what, why, fix, reason=error.reason, kept=error.kept)


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return placeholders.fill(value, values)
    if isinstance(value, dict):
        return {k: _filled(v, values) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, values) for v in value]
    return value
