"""Facts about files, read again only when a file has changed.

Reading all of lipbench takes seconds, so what was found is kept in the user's cache folder, beside each file's size
and times. Without that folder everything is right, only slower.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lipbench.core.atomic import atomic_write
from lipbench.core.errors import LipbenchError

#: A file that changed less than this many ns ago may change again within one tick of its clock: not trusted later.
_SETTLED_NS = 2_000_000_000


class FileCache:
    """JSON facts by a name, valid for one state of a file.

    Args:
        path: where they are kept; None: in memory alone.
        version: of the code that finds the facts; others' are dropped.
    """

    def __init__(self, path: Path | None, version: str) -> None:
        self.path, self.version = path, version
        self._entries: dict[str, list[Any]] | None = None
        self._dirty = False

    def get(self, file: str, name: str, make: Callable[[bytes], Any]) -> Any:
        """The facts `name` about a file: kept ones, or what `make` finds in its bytes.

        Raises:
            OSError: the file cannot be read.
        """
        entries = self._loaded()
        key = f"{file}\n{name}"
        stat = os.stat(file)
        state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
        kept = entries.get(key)
        if kept is not None and kept[0] == state:
            return kept[1]
        with open(file, "rb") as stream:
            found = make(stream.read())
        if time.time_ns() - max(state[1:]) > _SETTLED_NS:
            entries[key] = [state, found]
            self._dirty = True
        return found

    def _loaded(self) -> dict[str, list[Any]]:
        if self._entries is None:
            self._entries = {}
            try:
                data = json.loads(self.path.read_text(encoding="utf-8")) if self.path is not None else {}
                if data.get("version") == self.version:
                    self._entries = dict(data["entries"])
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                pass  # none yet, or not ours: it is written anew
        return self._entries

    def save(self) -> None:
        """Keep what was found for the next process, as far as the folder lets us."""
        if not self._dirty or self.path is None or self._entries is None:
            return
        there: dict[str, bool] = {}
        for key in self._entries:
            file = key.partition("\n")[0]
            there.setdefault(file, os.path.exists(file))
        entries = {key: value for key, value in self._entries.items() if there[key.partition("\n")[0]]}
        try:
            with atomic_write(self.path) as draft:
                draft.write_text(json.dumps({"version": self.version, "entries": entries}), encoding="utf-8")
        except (OSError, LipbenchError):
            pass
        self._dirty = False


def own_version(*files: str) -> str:
    """A version that changes with the code in these files."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(Path(file).read_bytes())
    return digest.hexdigest()
