"""Files and folders that appear whole or not at all, for whoever reads them and for whatever interrupts the writer.

atomic_write(path)          a draft to write to, which becomes the file
atomic_dir(path)            the same for a folder
write_text, write_json      a whole file from a string or from plain data
link_tree(source, target)   a folder whose files are those of another, or copies
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from lipbench.core.errors import disk_full

#: Characters of a file's name that its draft repeats, for people who find one; a name may be 255 bytes long.
NAME_PART = 40
#: How often a folder is put in its place when other writers keep putting theirs there.
ATTEMPTS = 20


@contextmanager
def draft(
    path: Path, placing: AbstractContextManager[object] | None = None, suffix: str | None = None
) -> Iterator[Path]:
    """The path of a hidden file that does not exist yet, beside `path`.

    When the block ends without an exception it takes the place of `path`, in one step; with one it is deleted and
    `path` stays as it was. Exceptions of the block come out as they are.

    Args:
        placing: a context for the last step alone, which may translate its OSErrors.
        suffix: the draft's ending; that of `path` when left out, since some writers go by it.
    """
    ending = path.suffix[-NAME_PART:] if suffix is None else suffix
    temporary = path.with_name(f".{path.name[:NAME_PART]}.{secrets.token_hex(4)}{ending}")
    try:
        yield temporary
        with placing or nullcontext():
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A draft beside `path`, of the same ending, that takes its place when the block ends without an exception.

    Missing folders are made.

    Raises:
        DiskFull: no space left, in the block or at its end; the old file is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft(path) as temporary:
            yield temporary
    except OSError as error:
        raise disk_full(error, path) from error


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that takes its place, and that of what lay there, when the block ends.

    With several writers at once the last one stays. A reader sees a whole folder or, for a moment, none.

    Raises:
        DiskFull: as `atomic_write`; the old folder is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name[:NAME_PART]}-", dir=path.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            _place_dir(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except OSError as error:
        raise disk_full(error, path) from error


def _place_dir(temporary: Path, path: Path) -> None:
    """Rename a folder to `path`; what is there is moved aside in one step, then deleted."""
    for attempt in range(ATTEMPTS):
        try:
            os.rename(temporary, path)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == ATTEMPTS - 1:
                raise
        old = temporary.with_name(f"{temporary.name}-old-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):  # another writer moved it
            os.rename(path, old)
            shutil.rmtree(old, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file that is on the disk, not in a cache, when it appears.

    Raises:
        DiskFull: no space left; the old file is untouched.
    """
    with atomic_write(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: Path, data: Any) -> None:
    """Write JSON; NaN and infinity are faults, not data.

    Raises:
        ValueError: NaN or infinity in `data`.
        DiskFull: no space left; the old file is untouched.
    """
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")


def link_tree(source: Path, target: Path) -> int:
    """Make a folder with the files of another: hard links where both lie on one file system, else copies.

    Times are kept. `target` may exist.

    Returns:
        Bytes of the files.

    Raises:
        OSError: something cannot be read or written; FileNotFoundError when a file has gone meanwhile.
    """
    target.mkdir(parents=True, exist_ok=True)
    total = 0
    for entry in os.scandir(source):
        if entry.is_dir(follow_symlinks=False):
            total += link_tree(Path(entry.path), target / entry.name)
            continue
        try:
            os.link(entry.path, target / entry.name)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(entry.path, target / entry.name, follow_symlinks=False)
        total += entry.stat(follow_symlinks=False).st_size
    return total


#: What os.link says on another file system, on one without hard links, and when a file has too many.
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK})
