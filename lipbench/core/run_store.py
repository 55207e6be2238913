"""The store of a run directory that has the user's cache behind it."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path

from lipbench.core.errors import StoreError
from lipbench.core.leases import Both, Held
from lipbench.core.record import Record
from lipbench.core.shared import NOT_SHOWN, SharedCache
from lipbench.core.store import Store


class RunStore(Store):
    """A run directory: what it does not hold is taken over from the cache, what it makes is given to it.

    Args:
        cache: results of all run directories; None: of this one alone.
    """

    def __init__(self, root: Path, cache: SharedCache | None) -> None:
        super().__init__(root, create=False)
        self.cache = cache

    def begin(self) -> None:
        super().begin()
        if self.cache is not None:
            self.cache.begin()

    def end(self) -> None:
        if self.cache is not None:
            self.cache.end()

    def take(self, key: str) -> Record | None:
        record = super().take(key)
        if self.cache is None or (record is not None and record.finished):
            return record
        found = self.cache.look(key)
        if found is None:
            return record
        if not self.repairs:  # somebody only looks: the run will take it over
            self.borrowed.add(key)
            return found
        return super().take(key) if self._take_over(found) else record

    def _take_over(self, record: Record) -> bool:
        assert self.cache is not None
        draft = self._draft(record.key)
        try:
            if self.cache.hand_over(record, draft):
                self.settle(draft, record.key)
                return True
        except StoreError:
            pass  # the stage that runs in its place will say so
        shutil.rmtree(draft, ignore_errors=True)
        return False

    def fault(self, record: Record, *, content: bool = False, needed: bool = False) -> str | None:
        out = self.directory(record.key) / "out"
        if self.cache is not None and record.kind in NOT_SHOWN and record.outputs and not out.exists():
            if not needed:
                return None
            draft = self._draft(record.key)
            if self.cache.bring(record.key, draft):
                with contextlib.suppress(OSError):  # somebody else was quicker
                    os.rename(draft, out)
            shutil.rmtree(draft, ignore_errors=True)
        return super().fault(record, content=content, needed=needed)

    def _draft(self, key: str) -> Path:
        return self.root / "work" / f"{key[:16]}-{uuid.uuid4().hex[:8]}"

    def put(self, record: Record, workspace: Path) -> Record:
        kept = super().put(record, workspace)
        if self.cache is not None and kept is record:
            self.cache.give(record, self.directory(record.key))
        return kept

    def claim(self, key: str) -> Held | None:
        """As `Store.claim`, and among all run directories: what another one makes right now is waited for."""
        own = super().claim(key)
        if own is None or self.cache is None:
            return own
        free, other = self.cache.claim(key)
        if not free:
            own.release()
            return None
        return own if other is None else Both(own, other)

    def set_aside(self, key: str, *, content: bool = False, needed: bool = False) -> bool:
        moved = super().set_aside(key, content=content, needed=needed)
        if moved and self.cache is not None:
            self.cache.set_aside(key)  # a link is damaged with the file that it is a link to
        return moved
