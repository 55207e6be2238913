"""The environment of an external method: how a command is wrapped for it, and what it is made of."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lipbench.baselines.external.config import Env
from lipbench.core.errors import Refused

#: Variables of our own environment that would leak into another Python.
_LEAKS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")


@dataclass(frozen=True)
class Command:
    """A command ready to start.

    Attributes:
        argv: for `process.run`.
        env: for `process.run`.
        kill: what ends it where signals do not reach it (docker), else ().
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    kill: tuple[str, ...] = ()


def interpreter(env: Env) -> str:
    """What `{python}` stands for."""
    if env.type == "none":
        return sys.executable
    if env.type == "venv":
        return str(_folder(env) / "bin" / "python")
    return "python"


def variables(env: Env, extra: Mapping[str, str], *, gpu: str, threads: int, tmp: Path) -> dict[str, str]:
    """What the environment adds: private temp folder, one GPU or none, our thread count, the file's own variables."""
    added = {
        "CUDA_VISIBLE_DEVICES": gpu,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "PYTHONDONTWRITEBYTECODE": "1",  # the checkout stays as it is
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",  # what it said before it was killed is in the log
        "TMPDIR": str(tmp),
    }
    if env.type == "venv":
        folder = _folder(env)
        added["VIRTUAL_ENV"] = str(folder)
        added["PATH"] = os.pathsep.join((str(folder / "bin"), os.environ.get("PATH", os.defpath)))
    return {**added, **extra}


def wrap(
    env: Env,
    argv: Sequence[str],
    added: Mapping[str, str],
    *,
    cwd: Path,
    mounts: Sequence[tuple[Path, bool]],
    label: str,
) -> Command:
    """The command as it is started from here.

    Args:
        added: what `variables` answers.
        cwd: working folder (docker sets it inside the container).
        mounts: (folder, writable) that a container must see, under the same paths.
        label: unique name for a container.
    """
    base = {k: v for k, v in os.environ.items() if k not in _LEAKS}
    if env.type == "conda":
        conda = os.environ.get("CONDA_EXE") or "conda"
        target = "-p" if os.sep in env.name_or_path else "-n"
        name = str(_folder(env)) if target == "-p" else env.name_or_path
        return Command((conda, "run", "--no-capture-output", target, name, *argv), {**base, **added})
    if env.type == "docker":
        return _docker(env, argv, added, base, cwd, mounts, label)
    return Command(tuple(argv), {**base, **added})


def _docker(
    env: Env,
    argv: Sequence[str],
    added: Mapping[str, str],
    base: Mapping[str, str],
    cwd: Path,
    mounts: Sequence[tuple[Path, bool]],
    label: str,
) -> Command:
    words = ["docker", "run", "--rm", "--init", "--network", "none", "--name", label]
    words += ["--user", f"{os.getuid()}:{os.getgid()}", "--workdir", str(cwd)]
    for folder, writable in mounts:
        words += ["--volume", f"{folder}:{folder}" + ("" if writable else ":ro")]
    if gpu := added.get("CUDA_VISIBLE_DEVICES"):
        words += ["--gpus", f"device={gpu}"]
    # Inside, the one visible GPU is number 0.
    inside = {**added, "CUDA_VISIBLE_DEVICES": "0" if gpu else "", "HOME": added["TMPDIR"]}
    for name, value in sorted(inside.items()):
        words += ["--env", f"{name}={value}"]
    return Command((*words, env.name_or_path, *argv), dict(base), ("docker", "kill", label))


def check(env: Env, binaries: Sequence[str]) -> None:
    """Is the environment there?

    Raises:
        Refused: reason "env_missing".
    """
    if env.type == "venv" and not Path(interpreter(env)).exists():
        raise Refused(
            f"there is no Python environment {env.name_or_path}",
            f"looked for {interpreter(env)}",
            f"create it: python{env.python} -m venv {env.name_or_path}, then install the method's requirements",
            reason="env_missing",
        )
    tool = {"conda": os.environ.get("CONDA_EXE") or "conda", "docker": "docker"}.get(env.type)
    needed = [tool] if tool else list(binaries)  # a container or conda environment brings its own programs
    for program in needed:
        if shutil.which(program) is None:
            raise Refused(f"there is no program {program}", "it is not on the PATH", "install it", reason="env_missing")


def _folder(env: Env) -> Path:
    return Path(os.path.expandvars(env.name_or_path)).expanduser().absolute()
