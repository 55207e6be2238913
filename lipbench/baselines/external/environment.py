"""The environment of an external method: how a command is wrapped for it, and which variables it gets."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lipbench.baselines.external.config_env import Env
from lipbench.core.errors import Refused

#: Variables of our own environment that a command gets. Nothing else: tokens and keys are not its business, and our
#: PYTHONPATH would break its Python. `env.pass` names more.
HANDED_OVER = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_*", "TZ", "TERM"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYOPENGL_PLATFORM", "EGL_PLATFORM"),
    *("CUDA_HOME", "CUDA_PATH", "CUDA_DEVICE_ORDER", "CUDA_CACHE_PATH", "NVIDIA_DRIVER_CAPABILITIES"),
    *("CONDA_EXE", "CONDARC", "CONDA_ENVS_PATH", "CONDA_ENVS_DIRS", "CONDA_PKGS_DIRS"),
    *("MAMBA_EXE", "MAMBA_ROOT_PREFIX"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("TORCH_HOME", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"),
)


@dataclass(frozen=True)
class Command:
    """A command ready to start.

    Attributes:
        argv: words, for `process.run`.
        env: all of its variables.
        kill: what ends it where signals do not reach it (docker), else ().
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    kill: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mount:
    """A folder that a container must see.

    Attributes:
        folder: here.
        inside: where the container sees it; None: under the same path.
    """

    folder: Path
    writable: bool
    inside: Path | None = None


def interpreter(env: Env) -> str:
    """What `{python}` stands for."""
    if env.type == "none":
        return sys.executable
    if env.type == "venv":
        return str(folder_of(env) / "bin" / "python")
    return "python"


def clean_variables() -> dict[str, str]:
    """Our own environment for tools that make environments: proxies and settings are the user's, our Python is ours."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours}


def handed_over(env: Env) -> dict[str, str]:
    """The part of our own environment that a command gets: `HANDED_OVER` and `env.pass`."""
    return {name: value for name, value in os.environ.items() if _allowed(name, env)}


def withheld(env: Env) -> list[str]:
    """Names of the variables that it does not get, for messages."""
    return sorted(name for name in os.environ if not _allowed(name, env))


def _allowed(name: str, env: Env) -> bool:
    return name in env.pass_on or any(fnmatchcase(name, pattern) for pattern in HANDED_OVER)


def variables(env: Env, extra: Mapping[str, str], *, gpu: str, threads: int, tmp: Path) -> dict[str, str]:
    """What the environment adds: private temp folder, one GPU or none, our thread count, the file's own variables.

    Args:
        env: of the method file.
        extra: its `vars`, placeholders filled.
        gpu: the card's word for CUDA_VISIBLE_DEVICES, "" for none.
        threads: how many the command may use.
        tmp: its folder for temporary files.
    """
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
        folder = folder_of(env)
        added["VIRTUAL_ENV"] = str(folder)
        added["PATH"] = os.pathsep.join((str(folder / "bin"), os.environ.get("PATH", os.defpath)))
    return {**added, **extra}


def wrap(
    env: Env, argv: Sequence[str], added: Mapping[str, str], *, cwd: Path, mounts: Sequence[Mount], label: str
) -> Command:
    """The command as it is started from here.

    Args:
        env: of the method file.
        argv: its words.
        added: what `variables` answers.
        cwd: working folder (docker sets it inside the container).
        mounts: what a container must see.
        label: unique name for a container.
    """
    base = handed_over(env)
    if env.type == "conda":
        conda = os.environ.get("CONDA_EXE") or "conda"
        target = "-p" if os.sep in env.name_or_path else "-n"
        name = str(folder_of(env)) if target == "-p" else env.name_or_path
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
    mounts: Sequence[Mount],
    label: str,
) -> Command:
    words = ["docker", "run", "--rm", "--init", "--network", "none", "--name", label]
    words += ["--user", f"{os.getuid()}:{os.getgid()}", "--workdir", str(cwd)]
    for mount in mounts:
        words += ["--volume", f"{mount.folder}:{mount.inside or mount.folder}" + ("" if mount.writable else ":ro")]
    if gpu := added.get("CUDA_VISIBLE_DEVICES"):
        words += ["--gpus", f"device={gpu}"]
    # Inside, the one visible GPU is number 0.
    inside = {**added, "CUDA_VISIBLE_DEVICES": "0" if gpu else "", "HOME": added["TMPDIR"]}
    words += [word for name, value in sorted(inside.items()) for word in ("--env", f"{name}={value}")]
    # By name alone: docker takes the value from its own environment, and no secret stands in a command line.
    words += [word for name in env.pass_on if name in base for word in ("--env", name)]
    return Command((*words, env.name_or_path, *argv), dict(base), ("docker", "kill", label))


def check(env: Env, binaries: Sequence[str], method: str = "METHOD") -> None:
    """Is the environment there?

    Args:
        env: of the method file.
        binaries: programs that must be on the PATH where it brings none of its own.
        method: what commands call the method.

    Raises:
        Refused: reason "env_missing".
    """
    by_hand = f"python{env.python} -m venv {env.name_or_path}, then install the method's requirements"
    fix = f"create it: {by_hand if env.recipe is None else f'lipbench method setup {method}'}"
    looked_for = {
        "venv": Path(interpreter(env)),
        "conda": folder_of(env) / "conda-meta" if os.sep in env.name_or_path else None,
    }.get(env.type)
    if looked_for is not None and not looked_for.exists():
        raise Refused(
            f"there is no {'Python' if env.type == 'venv' else 'conda'} environment {env.name_or_path}",
            f"looked for {looked_for}",
            fix,
            reason="env_missing",
        )
    tool = {"conda": os.environ.get("CONDA_EXE") or "conda", "docker": "docker"}.get(env.type)
    needed = [tool] if tool else list(binaries)  # a container or conda environment brings its own programs
    for program in needed:
        if shutil.which(program) is None:
            raise Refused(f"there is no program {program}", "it is not on the PATH", "install it", reason="env_missing")


def folder_of(env: Env) -> Path:
    """The folder of a venv, or of a conda environment that is named by it."""
    return Path(os.path.expandvars(env.name_or_path)).expanduser().absolute()
