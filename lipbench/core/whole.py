"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lipbench.core.errors import disk_full


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A draft beside `path`, of the same ending, that takes its place when the block ends without an error.

    Raises:
        DiskFull: no space left, in the block or at its end; the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield draft
        os.replace(draft, path)
    except OSError as error:
        raise disk_full(error, path) from error
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path` that takes its place, and that of what lay there, when the block ends.

    Raises:
        DiskFull: as `whole_file`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield draft
        draft.chmod(0o755)
        if path.exists():
            shutil.rmtree(path)
        os.rename(draft, path)
    except OSError as error:
        raise disk_full(error, path) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
