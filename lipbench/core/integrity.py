"""What a stage's files are when it ends, and whether they still are that.

    outputs   name -> {"path": relative to the record, "sha256", "bytes", "mtime_ns"}
    rest      what lies beside them: path below out/ -> [bytes, time of the last change in ns, sha256]

Files that came later are none of a stage's and change nothing: programs like to write beside what they read.
A look costs a few microseconds a file: sizes and times, and the content of files whose time is another one. Reading
everything is asked for with `content`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lipbench.core.keys import sha256_file

#: Files below a folder: path relative to it -> (bytes, time of the last change in ns).
Listing = Mapping[str, tuple[int, int]]


def listing(folder: Path | str) -> Listing:
    """All files below a folder, links followed; empty where there is no folder."""
    found: dict[str, tuple[int, int]] = {}
    waiting = [("", str(folder))]
    while waiting:
        prefix, path = waiting.pop()
        try:
            entries = [*os.scandir(path)]
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((f"{prefix}{entry.name}/", entry.path))
            elif entry.is_file():
                stat = entry.stat()
                found[prefix + entry.name] = stat.st_size, stat.st_mtime_ns
    return found


def describe(out: Path, named: Mapping[str, Path]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Outputs and rest of a stage that has just ended.

    Args:
        out: the folder that it wrote to.
        named: its outputs.

    Raises:
        ValueError: an output is not below `out`.
        OSError: a file cannot be read.
    """
    outputs: dict[str, Any] = {}
    for name, path in named.items():
        inside = path.resolve().relative_to(out.resolve()).as_posix()
        digest, stat = sha256_file(path), path.stat()
        outputs[name] = {"path": f"out/{inside}", "sha256": digest, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    mine = {str(output["path"]).removeprefix("out/") for output in outputs.values()}
    rest = {path: [*state, sha256_file(out / path)] for path, state in listing(out).items() if path not in mine}
    return outputs, dict(sorted(rest.items()))


def fault(
    folder: Path | str, outputs: Mapping[str, Any], rest: Mapping[str, Any] | None, *, content: bool = False
) -> str | None:
    """The first thing that is wrong with a stage's files; None when they are what they were.

    A file with its content in place and another time gets its old time back: the next look at it is quick again.

    Args:
        folder: that of the record.
        outputs: as recorded.
        rest: as recorded; None when it is not known.
        content: read everything. Without it a file is read only if its time is another one.
    """
    if not outputs and not rest:
        return None
    try:
        files = listing(f"{folder}/out")
        for output in outputs.values():
            path = str(output["path"]).removeprefix("out/")
            wrong = _wrong(folder, path, files, output["bytes"], output.get("mtime_ns"), output["sha256"], content)
            if wrong:
                return wrong
        for path, (size, mtime, digest) in (rest or {}).items():
            if wrong := _wrong(folder, path, files, size, mtime, digest, content):
                return wrong
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror}"
    return None


def _wrong(
    folder: Path | str, path: str, files: Listing, size: int, mtime: int | None, digest: str, content: bool
) -> str | None:
    """What is wrong with one file; `mtime` is None when it is not known."""
    found = files.get(path)
    if found is None:
        return f"out/{path} is missing"
    if found[0] != size:
        return f"out/{path} has {found[0]:,} bytes, {size:,} were written"
    moved = mtime is not None and mtime != found[1]
    if not content and not moved:
        return None
    if sha256_file(f"{folder}/out/{path}") != digest:
        return f"out/{path} has another content"
    if moved and mtime is not None:
        with contextlib.suppress(OSError):  # of somebody else, or read-only: it is read again next time
            os.utime(f"{folder}/out/{path}", ns=(found[1], mtime))
    return None
