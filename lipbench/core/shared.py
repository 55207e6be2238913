"""One cache for all run directories of a user: a result that one run has made costs the next one nothing.

    CACHE/objects/ab/ab12.../   as in a run directory; its own `used` time is that of the folder
    CACHE/usage.json            {"bytes"}: how much there is, as far as it is known without looking

It holds results that are ok, whatever their stage. A run directory takes them over as hard links where both lie on one
file system: then it is as whole as if it had made them, and the disk holds them once. Elsewhere it gets copies of what
reports show, and of the rest when a stage reads it. Nothing depends on the cache: it can be deleted at any time, and
when it cannot be used runs go on without it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lipbench.core.atomic import link_tree, write_json
from lipbench.core.errors import LipbenchError, Remark, StoreError, UsageError
from lipbench.core.leases import Lease
from lipbench.core.record import Record
from lipbench.core.store import Store
from lipbench.core.system import cache_folder

#: Bytes that are kept when LIPBENCH_CACHE_LIMIT says nothing else.
LIMIT = 20 * 10**9
#: Seconds after which `usage.json` is not trusted any more: several processes write it, and the last one counts.
TRUSTED_S = 86400.0
#: Stages whose files no report shows; where they cannot be linked, they come when a stage reads them.
NOT_SHOWN = frozenset({"clip", "prepare", "fit"})
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@dataclass(frozen=True)
class Entry:
    """One result in the cache.

    Attributes:
        key: of the result.
        path: where it is.
        n_bytes: of all its files.
        shared: bytes of those that a run directory holds too; deleting them here frees nothing.
        used: when it was made or taken over last, Unix seconds.
    """

    key: str
    path: Path
    n_bytes: int
    shared: int
    used: float


def cache_of_user() -> SharedCache | None:
    """The cache that LIPBENCH_CACHE names, else lipbench/stages in the user's cache folder; None when it says "off".

    Raises:
        UsageError: LIPBENCH_CACHE_LIMIT is no size.
    """
    named = os.environ.get("LIPBENCH_CACHE") or ""
    if named == "off":
        return None
    folder = Path(named).expanduser() if named else cache_folder() / "lipbench" / "stages"
    return SharedCache(folder.absolute(), limit_of_user())


def limit_of_user() -> int | None:
    """LIPBENCH_CACHE_LIMIT in bytes; None for "none".

    Raises:
        UsageError: no size.
    """
    text = os.environ.get("LIPBENCH_CACHE_LIMIT") or ""
    if text.lower() == "none":
        return None
    return size(text, "LIPBENCH_CACHE_LIMIT") if text else LIMIT


def size(text: str, where: str) -> int:
    """A size that a person wrote ("20 GB", "500M", "1.5t"), in bytes.

    Args:
        where: names it in the error.

    Raises:
        UsageError: it is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?", text.strip().lower())
    if found is None:
        raise UsageError(f"{where} is no size: {text!r}", "a number with a unit is meant", "for example 20 GB, or none")
    return round(float(found[1]) * _UNITS[found[2]])


class SharedCache:
    """Results that all run directories may take over. No method raises because the cache cannot be read or written.

    Args:
        folder: where it lies.
        limit: bytes that `end` leaves at most, not counting what was used since `begin`; None: no limit.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder, self.limit = folder, limit
        self.store = Store(folder, create=False) if not folder.is_file() else None
        self._began: float | None = None
        self._given = 0

    @property
    def _open(self) -> Store | None:
        """The store, while a run is on and the cache can be used."""
        return self.store if self._began is not None else None

    def begin(self) -> None:
        """A run begins: from now on results are given to the cache as well."""
        if self.store is None:
            return self._stop(NotADirectoryError(20, "it is a file"))
        try:
            self.store.begin()
            probe = self.folder / f".{uuid.uuid4().hex}"
            probe.touch()
            self._began = probe.stat().st_mtime  # by the clock that stamps the results
            probe.unlink()
        except (OSError, StoreError) as error:
            self._stop(error)

    def _stop(self, error: Exception) -> None:
        why = error.why if isinstance(error, LipbenchError) else getattr(error, "strerror", None) or str(error)
        warnings.warn(f"the cache {self.folder} cannot be used ({why}); going on without it", Remark, stacklevel=3)
        self.store, self._began = None, None

    # ---- what a run directory asks for ------------------------------------------------------------------------

    def look(self, key: str) -> Record | None:
        """The record of a result that could be taken over."""
        try:
            record = None if self.store is None else self.store.take(key)
        except (OSError, StoreError):
            return None
        return record if record is not None and record.status == "ok" else None

    def hand_over(self, record: Record, target: Path) -> bool:
        """Put a result into a folder: record, log and files; files that no report shows only if they can be linked.

        Returns:
            Whether it is there, whole or with its files still to come (`bring`).
        """
        if self._open is None:
            return False
        source = self._open.directory(record.key)
        try:
            target.mkdir(parents=True, exist_ok=True)
            if record.kind not in NOT_SHOWN or on_one_device(source, target):
                link_tree(source, target)
            else:
                for path in source.glob("*.*"):
                    shutil.copy2(path, target)
            os.utime(source)
        except OSError:
            return False
        return True

    def bring(self, key: str, target: Path) -> bool:
        """Put the files of a result into a folder; whether they are there."""
        if self._open is None:
            return False
        source = self._open.directory(key)
        try:
            link_tree(source / "out", target)
            os.utime(source)
        except OSError:
            return False
        return True

    def give(self, record: Record, source: Path) -> None:
        """Keep a result that a run has just made, for other runs."""
        store = self._open
        if store is None or record.status != "ok" or store.look(record.key) is not None:
            return
        try:
            draft = store.workspace(record.key)
            link_tree(source, draft)
            (draft / "job.json").unlink(missing_ok=True)  # it names the run directory
            store.settle(draft, record.key)
            self._given += _bytes(store.directory(record.key))[0]
        except (OSError, StoreError) as error:
            self._stop(error)

    def claim(self, key: str) -> tuple[bool, Lease | None]:
        """The lease of a key among all run directories.

        Returns:
            Whether the caller may go on, and the lease, which is None when the cache cannot be used.
        """
        if self._open is None:
            return True, None
        try:
            lease = self._open.leases.claim(key)
        except (OSError, StoreError) as error:
            self._stop(error)
            return True, None
        return lease is not None, lease

    def set_aside(self, key: str) -> None:
        """A run found a result damaged; if it is so here too, it goes."""
        if self._open is not None:
            with contextlib.suppress(OSError, StoreError):
                self._open.set_aside(key, content=True)

    def end(self) -> None:
        """A run has ended: what is over the limit goes, the least used first; nothing that was used since `begin`."""
        store, began = self._open, self._began
        if store is None or began is None:
            return
        with contextlib.suppress(OSError, StoreError):
            known = self._usage()
            if self.limit is not None and (known is None or known + self._given > self.limit):
                self.prune(self.limit, unused_since=began)
            elif self._given:
                write_json(self.folder / "usage.json", {"bytes": (known or 0) + self._given})

    # ---- for people -------------------------------------------------------------------------------------------

    def entries(self) -> Iterator[Entry]:
        """Everything that it holds."""
        for path in (self.folder / "objects").glob("??/*"):
            with contextlib.suppress(OSError):
                n_bytes, shared = _bytes(path)
                yield Entry(path.name, path, n_bytes, shared, path.stat().st_mtime)

    def prune(self, limit: int = 0, *, unused_since: float = float("inf"), dry: bool = False) -> list[Entry]:
        """Delete the least used results until no more than `limit` bytes are left.

        Args:
            unused_since: Unix seconds; what was used since then stays.
            dry: delete nothing.

        Returns:
            What went.
        """
        entries = sorted(self.entries(), key=lambda entry: entry.used)
        total = sum(entry.n_bytes for entry in entries)
        gone = []
        for entry in entries:
            if total <= limit or entry.used >= unused_since:
                break
            if not dry and not self._delete(entry.path):
                continue
            gone.append(entry)
            total -= entry.n_bytes
        if not dry and self.folder.is_dir():
            shutil.rmtree(self.folder / "damaged", ignore_errors=True)
            with contextlib.suppress(OSError, StoreError):
                write_json(self.folder / "usage.json", {"bytes": total})
        return gone

    def _delete(self, path: Path) -> bool:
        """In one step for who looks at it."""
        trash = self.folder / "work" / f"old-{uuid.uuid4().hex}"
        try:
            trash.parent.mkdir(exist_ok=True)
            os.rename(path, trash)
        except OSError:
            return False
        shutil.rmtree(trash, ignore_errors=True)
        return True

    def _usage(self) -> int | None:
        """How many bytes there are; None when nobody has counted for a day."""
        path = self.folder / "usage.json"
        try:
            if time.time() - path.stat().st_ctime > TRUSTED_S:
                return None
            return int(json.loads(path.read_text(encoding="utf-8"))["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def on_one_device(a: Path, b: Path) -> bool:
    """Whether files can be links from one folder to the other."""
    return a.stat().st_dev == b.stat().st_dev


def _bytes(folder: Path) -> tuple[int, int]:
    """Bytes of all files below a folder, and of those that have another name elsewhere."""
    total = shared = 0
    for path, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(os.path.join(path, name))
            total += stat.st_size
            shared += stat.st_size if stat.st_nlink > 1 else 0
    return total, shared
