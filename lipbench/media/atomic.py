"""Media files that appear whole or not at all, with errors that say what could not be written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av.error

from lipbench.core.atomic import draft
from lipbench.core.errors import MediaError, disk_full


@contextlib.contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it on success and removed on any exception.

    Unlike `core.atomic.atomic_write` it makes no folders, and leaves the block's own OSErrors alone.

    Raises:
        MediaError: the folder is missing or cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise MediaError(f"cannot write {path}", f"there is no folder {path.parent}", "make it first")
    with draft(path, placing=writing(path), suffix=".tmp") as temporary:
        yield temporary


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns OSErrors and FFmpeg's errors into `DiskFull` or `MediaError` about `path`.

    Wrap single operations on the file, not a caller's block: its own OSErrors are about something else.
    """
    try:
        yield
    except (OSError, av.error.FFmpegError) as error:
        if isinstance(error, OSError):
            with contextlib.suppress(OSError):
                raise disk_full(error, path) from error
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"cannot write {path}", why, "check the folder and its permissions") from error
