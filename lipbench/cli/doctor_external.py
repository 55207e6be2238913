"""What `lipbench doctor` looks at for a method in an environment of its own, before and after it has run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench.cli.doctor_check import Check

if TYPE_CHECKING:
    from lipbench.baselines.external.config import Definition, WeightFile
    from lipbench.baselines.external.process import ProcessResult
    from lipbench.baselines.external.reading import MethodFile

#: Seconds for a Python to start and import torch, and for a script to say which options it has.
PATIENCE_S = 120.0
#: How files of weights begin: (offset, bytes) of a zip, of a pickle, of a tar.
_TORCH = ((0, b"PK\x03\x04"), (0, b"\x80"), (257, b"ustar"))
_MAGIC = {"pt": _TORCH, "pth": _TORCH, "ckpt": _TORCH, "safetensors": ((8, b"{"),), "h5": ((0, b"\x89HDF"),)}
#: Prints its version; then imports what is named, and says what cannot be.
_ASK_PYTHON = """
import importlib, sys
print("python " + sys.version.split()[0])
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        print("cannot import %s: %s: %s" % (name, type(error).__name__, error))
"""


def external_needs(located: MethodFile) -> list[Check]:
    """Checkout, submodules, environment, weights; whether its Python starts, and its command has the options."""
    from lipbench.baselines.external.checkout import doctor
    from lipbench.cli.list import external_needs as how_to_get

    findings = doctor(located)
    missing = next((f for f in findings if f.reason == "repo_missing"), None)
    if missing is not None:
        # Its weights would lie in the checkout: no use in naming each of them.
        return [Check(missing.what, "missing", "not installed", "; ".join(how_to_get(located)[1]))]
    pinned = {f"weights {w.path}": w for w in located.definition.weights}
    found = [
        weights_look(located, pinned[f.what])
        if f.ok and f.what in pinned
        else Check(f.what, "ok" if f.ok else "missing", f.message)
        for f in findings
    ]
    if located.definition.env.type == "http" or any(f.what.startswith("environment") and not f.ok for f in findings):
        return found
    started = python_starts(located)
    return [*found, started, *([options_exist(located)] if started.state == "ok" else [])]


def weights_look(located: MethodFile, weights: WeightFile) -> Check:
    """A weight file that is there, and that is the pinned one if it is pinned: does it look like weights?"""
    what, path = f"weights {weights.path}", located.weights_file(weights.path)
    if not path.is_file():
        return Check(what, "skip", "optional, not there")
    with open(path, "rb") as file:
        start = file.read(300)
    size = path.stat().st_size
    if start.startswith(b"version https://git-lfs"):
        return Check(what, "missing", "it is a pointer of Git LFS, not the file", "git lfs pull")
    if start.lstrip()[:1] == b"<":
        return Check(what, "missing", "it is a web page, not the file", "get it again; the address may ask for a login")
    kind = path.name.lower().rpartition(".")[2]
    if kind in _MAGIC and not any(start[at : at + len(sign)] == sign for at, sign in _MAGIC[kind]):
        return Check(what, "missing", f"its {size} bytes are no {kind} file", "get it again")
    if size == 0:
        return Check(what, "missing", "it is empty", "get it again")
    if weights.sha256 is not None:
        return Check(what, "ok", f"{size} bytes, SHA-256 as in the method file")
    if weights.size is not None:
        return Check(what, "ok", f"{size} bytes as in the method file; it names no SHA-256")
    return Check(what, "ok", f"{size} bytes; the method file names neither size nor SHA-256 to compare")


def python_starts(located: MethodFile) -> Check:
    """Whether the environment's Python runs, is of the version that the file names, and imports what it names."""
    definition = located.definition
    env = definition.env
    what = f"python of {env.type} {env.name_or_path}".rstrip()
    with tempfile.TemporaryDirectory(prefix="lipbench-doctor-") as folder:
        ended, said = _ask(located, ["{python}", "-c", _ASK_PYTHON, *env.imports], Path(folder), located.repo)
    version = re.search(r"^python (\S+)$", said, re.MULTILINE)
    if ended.rc != 0 or version is None:
        words = ended.reason or said.strip().rpartition("\n")[2] or f"it ended with code {ended.rc}"
        words = f"it did not start within {PATIENCE_S:g} s" if ended.timed_out else words
        return Check(what, "missing", words, "create the environment as the method's README says")
    if lacking := re.findall(r"^cannot import (.*)$", said, re.MULTILINE):
        return Check(what, "missing", "; ".join(lacking), "install it in the method's environment")
    if env.python and not (version[1] + ".").startswith(env.python + "."):
        return Check(what, "missing", f"it is Python {version[1]}", f"the method file was written for {env.python}")
    imported = f", imports {', '.join(env.imports)}" if env.imports else ""
    return Check(what, "ok", f"Python {version[1]}{imported}")


def options_exist(located: MethodFile) -> Check:
    """Whether the script's own --help names every option that the method file gives it."""
    from lipbench.baselines.external.shadow import shadow

    definition, what = located.definition, "options of the command"
    argv = definition.argv or ()
    start = _script_ends(argv)
    if start == 0:
        return Check(what, "skip", "the command is no Python script or module that could be asked")
    given = [word.partition("=")[0] for word in argv[start:] if re.match(r"--?[A-Za-z]", word)]
    given += [definition.caps.seed_flag] if definition.caps.seed_flag else []
    if not given:
        return Check(what, "skip", "the method file gives none")
    with tempfile.TemporaryDirectory(prefix="lipbench-doctor-") as folder:
        place = Path(folder).resolve() / "src"
        scripts = [argv[start - 1]] if argv[start - 1].endswith(".py") else []
        own = [s for s in scripts if not Path(s).is_absolute() and (located.repo / s).is_file()]
        shadow(located.repo, place, definition.writable, own)
        for name in {*scripts} & {*definition.files}:  # a script that the method file brings itself
            (place / name).write_text(definition.files[name])
        ended, said = _ask(located, [*argv[:start], "--help"], Path(folder).resolve(), place)
    if ended.rc != 0 or not re.search(r"(?i)\busage\b|^\s*-", said, re.MULTILINE):
        words = said.strip().rpartition("\n")[2] or ended.reason
        return Check(what, "skip", f"its --help says nothing of them ({words[:120] or f'code {ended.rc}'})")
    absent = [name for name in dict.fromkeys(given) if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", said)]
    if absent:
        fix = "correct `argv` in the method file; `--help` of the script lists them"
        return Check(what, "fail", f"the script has no {', '.join(absent)}", fix)
    return Check(what, "ok", f"{len(dict.fromkeys(given))} of the method file's are in its --help")


def _script_ends(argv: tuple[str, ...]) -> int:
    """How many words stand before a Python script's own options; 0 where none is started."""
    if not argv or argv[0] not in ("{python}", "python", "python3"):
        return 0
    for place, word in enumerate(argv[1:], 1):
        if word == "-m":
            return place + 2
        if word == "-c":
            return 0
        if not word.startswith("-"):
            return place + 1 if word.endswith(".py") else 0
    return 0


def _ask(located: MethodFile, argv: list[str], folder: Path, cwd: Path) -> tuple[ProcessResult, str]:
    """Run something short in the method's environment; what it wrote."""
    from lipbench.baselines.external import environment, process

    env = located.definition.env
    (folder / "tmp").mkdir(exist_ok=True)
    words = [w.replace("{python}", environment.interpreter(env)).replace("{repo}", str(cwd)) for w in argv]
    given = {name: text.replace("{repo}", str(cwd)) for name, text in env.vars.items()}
    added = environment.variables(env, given, gpu="", threads=1, tmp=folder / "tmp")
    mounts = (environment.Mount(located.repo, False), environment.Mount(folder, True))
    command = environment.wrap(env, words, added, cwd=cwd, mounts=mounts, label=f"lipbench-doctor-{folder.name}")
    ended = process.run(
        command.argv,
        cwd=cwd,
        env=command.env,
        timeout_s=PATIENCE_S,
        stdout=folder / "stdout",
        stderr=folder / "stderr",
        kill=command.kill,
    )
    return ended, f"{process.tail(folder / 'stdout')}\n{process.tail(folder / 'stderr')}"


def frame_count(definition: Definition, info: Mapping[str, Any], wanted: int) -> Check:
    """Whether what the command made has, after `post`, exactly as many frames as the dub; one off is still accepted
    in a run, but then the method file's `pad_tail` or `drop_tail` is wrong.

    Args:
        definition: the method file.
        info: what the run recorded: `frames_made` by the command, `n_frames` after `post`.
        wanted: frames of the dub.
    """
    have = int(info["n_frames"])
    steps = [step for step in definition.post if (step.pad_tail or step.drop_tail) is not None]
    given = sum((step.pad_tail or 0) - (step.drop_tail or 0) for step in steps)
    detail = (
        f"the command made {info['frames_made']} at {info['fps_made']:g} fps, {have} after `post`; the dub has {wanted}"
    )
    if have == wanted:
        return Check("frames of the command", "ok", detail)
    net = given + wanted - have
    right = f"`pad_tail: {net}`" if net > 0 else f"`drop_tail: {-net}`" if net < 0 else "neither pad_tail nor drop_tail"
    if definition.post and any(step.fps for step in definition.post):
        right += " (counted at the clip's rate)"
    return Check("frames of the command", "fail", detail, f"for this length the method file needs {right} under `post`")
