"""What a method's stages keep for the stages after them, and whose face it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lipbench.baselines.external.config import Definition, Stage
from lipbench.baselines.external.output import bad_output
from lipbench.baselines.external.shadow import KEPT, files_below, folders_below
from lipbench.baselines.external.workspace import Workspace
from lipbench.core.errors import Refused

#: What a manifest says of a speaker whom nobody named.
UNKNOWN = "unknown"


def keep(stage: Stage, space: Workspace, checkout: Path, out: Path) -> dict[str, int]:
    """Move what a stage was to make out of the private folder.

    Files of the checkout that nobody changed, and links to what earlier stages have made, stay behind: the later
    stages have them anyway.

    Args:
        stage: names the places.
        space: where its commands ran.
        checkout: the method's.
        out: the stage's folder; `kept` below it is made.

    Returns:
        kept_files and kept_bytes.

    Raises:
        LipbenchError: reason "bad_output": one of the places is empty.
    """
    root, cwd = space.root.resolve(), space.cwd.resolve()
    count = size = 0
    for place in stage.keep:
        new = [file for file in files_below(cwd / place) if _is_new(file, cwd, checkout, root)]
        if not new:
            raise bad_output(f"the commands made no {place}", "the stage was to keep it")
        for folder in folders_below(cwd / place):  # those without files too: programs look for them
            (out / KEPT / folder.relative_to(cwd)).mkdir(parents=True, exist_ok=True)
        for file in new:
            target = out / KEPT / file.relative_to(cwd)
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.is_symlink():
                shutil.copy2(file, target)
            else:
                os.replace(file, target)
            count, size = count + 1, size + target.stat().st_size
    return {"kept_files": count, "kept_bytes": size}


def _is_new(file: Path, cwd: Path, checkout: Path, root: Path) -> bool:
    if file.is_symlink():
        return file.resolve().is_relative_to(root)
    theirs = checkout / file.relative_to(cwd)
    if not theirs.is_file():
        return True
    a, b = file.stat(), theirs.stat()
    return (a.st_size, a.st_mtime_ns) != (b.st_size, b.st_mtime_ns)


def check_person(definition: Definition, speaker: str, said: str) -> None:
    """A method that has learnt one person is not asked for another.

    Args:
        definition: the method file.
        speaker: of the clip, as the manifest names him; "unknown" where it does not.
        said: who it is, from the parameter `speaker`; "" where nobody says.

    Raises:
        Refused: reason "wrong_person".
    """
    if not definition.person:
        return
    who = said or speaker
    if who == definition.person:
        return
    if who in ("", UNKNOWN):
        why = "nothing says who speaks in the clip"
        fix = f"name the speaker in the manifest, or say so: -p speaker={definition.person}"
    else:
        why, fix = f"the clip's speaker is {who}", f"use clips of {definition.person}, or train it for {who}"
    raise Refused(
        f"{definition.name} has learnt {definition.person} and nobody else",
        why,
        fix,
        reason="wrong_person",
        kept=False,  # who speaks is no part of the key
    )
