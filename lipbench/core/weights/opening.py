"""What every reader of a weights file does first and last, so that a bad file is told in one way whatever it is for.

First a look at the bytes: nothing there, an empty file, a saved web page, a Git LFS pointer, an archive that is cut off
or that unpacks to far more than it is. Last, whatever else goes wrong while a file is read becomes the same error:

    cannot read the weights FILE
    why
    what to do
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipbench.core.errors import LipbenchError, WeightsError, WeightsMissing

#: An archive may unpack to this many times its size, or to FREE bytes whatever its size. Weights hardly shrink at all.
RATIO, FREE = 20, 64 << 20

_FIX = "get the file again"
_LFS = b"version https://git-lfs"


@contextmanager
def reading(path: str | Path, fix: str = _FIX) -> Iterator[Path]:
    """`with reading(path, fix) as path:` around whatever reads a file of weights.

    Args:
        fix: what to do about a file that cannot be read.

    Raises:
        WeightsMissing: there is no such file.
        WeightsError: `looked_at` refuses it, or anything but a LipbenchError was raised inside.
    """
    path = looked_at(path, fix)
    try:
        yield path
    except LipbenchError:
        raise
    # Readers of foreign files raise nearly anything: struct.error, RecursionError, MemoryError, zlib.error, ...
    except Exception as error:
        raise unreadable(path, first_line(error), fix) from error


def looked_at(path: str | Path, fix: str = _FIX) -> Path:
    """The path of a file that may hold weights.

    Raises:
        WeightsMissing: there is no such file.
        WeightsError: it is no file, empty, a web page, a Git LFS pointer, or an archive that is cut off or a bomb.
    """
    path = Path(path)
    if not path.exists():
        raise WeightsMissing(f"there is no file {path}", "", fix)
    if not path.is_file():
        raise unreadable(path, "it is a folder", fix)
    try:
        with open(path, "rb") as stream:
            head = stream.read(1024)
    except OSError as error:
        raise unreadable(path, first_line(error), fix) from error
    if why := _no_weights(path, head):
        raise unreadable(path, why, fix)
    return path


def unreadable(path: str | Path, why: str, fix: str = _FIX) -> WeightsError:
    """The one error of a file of weights that cannot be read."""
    return WeightsError(f"cannot read the weights {path}", why, fix)


def first_line(error: BaseException) -> str:
    """An error's first line, cut to fit; its class where it says nothing."""
    lines = str(error).strip().splitlines()
    text = lines[0].strip()[:160] if lines else ""
    # A KeyError says nothing but the key.
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError) else text or type(error).__name__


def _no_weights(path: Path, head: bytes) -> str:
    if not head:
        return "the file is empty"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<body", b"<script")):
        return "it is a web page that was saved under this name"
    if start.startswith(_LFS):
        return "it is a Git LFS pointer, which only says where the file is"
    return _archive(path) if head.startswith(b"PK\x03\x04") else ""


def _archive(path: Path) -> str:
    """Why a zip archive (torch's, numpy's) is not opened; "" for a sound one."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return "it is cut off: the directory at the end of the archive is missing"
    size = path.stat().st_size
    if unpacked > max(FREE, RATIO * size):
        return f"it would unpack to {unpacked / 1e6:,.0f} MB from {size / 1e6:,.1f} MB, which weights never do"
    return ""
