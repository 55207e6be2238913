"""What a stage's files are when it ends, and whether they still are that.

    outputs   name -> {"path": relative to the record, "sha256", "bytes", "mtime_ns"}
    rest      what lies beside them in out/: {"files", "bytes", "sha256" over all names and contents}; {} for nothing

A look costs a few microseconds a file: sizes and times, and the content of files whose time is another one. Reading
everything is asked for with `content`.
"""

from __future__ import annotations

import contextlib
import hashlib
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
        OSError: an output cannot be read.
    """
    outputs: dict[str, Any] = {}
    for name, path in named.items():
        inside = path.resolve().relative_to(out.resolve()).as_posix()
        digest, stat = sha256_file(path), path.stat()
        outputs[name] = {"path": f"out/{inside}", "sha256": digest, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    return outputs, _rest(out, _beside(listing(out), outputs))


def _beside(files: Listing, outputs: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of the files that are no named outputs."""
    named = {str(output["path"]).removeprefix("out/") for output in outputs.values()}
    return {path: size for path, (size, _) in files.items() if path not in named}


def _rest(out: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    if not sizes:
        return {}
    digest = hashlib.sha256()
    for path in sorted(sizes):
        digest.update(f"{path}\0{sha256_file(out / path)}\n".encode("utf-8", "surrogateescape"))
    return {"files": len(sizes), "bytes": sum(sizes.values()), "sha256": digest.hexdigest()}


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
            if wrong := _wrong(folder, output, files, content):
                return wrong
        if rest is None:
            return None
        sizes = _beside(files, outputs)
        if (len(sizes), sum(sizes.values())) != (rest.get("files", 0), rest.get("bytes", 0)):
            return f"there are {len(sizes)} files beside the outputs in out/, {rest.get('files', 0)} were written"
        if content and sizes and _rest(Path(folder, "out"), sizes) != rest:
            return "a file beside the outputs in out/ has another content"
    except OSError as error:
        return f"{error.filename or folder}: {error.strerror}"
    return None


def _wrong(folder: Path | str, output: Mapping[str, Any], files: Listing, content: bool) -> str | None:
    path = str(output["path"])
    found = files.get(path.removeprefix("out/"))
    if found is None:
        return f"{path} is missing"
    size, mtime = found
    if size != output["bytes"]:
        return f"{path} has {size:,} bytes, {output['bytes']:,} were written"
    moved = mtime != output.get("mtime_ns", mtime)
    if not content and not moved:
        return None
    if sha256_file(f"{folder}/{path}") != output["sha256"]:
        return f"{path} has another content"
    if moved:
        with contextlib.suppress(OSError):  # of somebody else, or read-only: it is read again next time
            os.utime(f"{folder}/{path}", ns=(mtime, int(output["mtime_ns"])))
    return None
