"""The run directory: one JSON record per finished stage, beside its outputs.

    RUN/objects/ab/ab12.../record.json   what happened; `preimage` is what the key was made of
    RUN/objects/ab/ab12.../out/          the stage's files
    RUN/objects/ab/ab12.../log.txt       everything it printed
    RUN/damaged/ab12...-<n>/             what was found to be no longer what was written
    RUN/code/ab12....json                modules behind the keys, for `lipbench explain`
    RUN/leases/ab12.../owner.json        who works on it right now
    RUN/work/                            stages in flight

A stage is built in work/ and appears under objects/ by one rename, so a record is there whole or not at all. What is
taken from objects/ is checked: the record by its digest, the files by size and time, and by their content where these
differ. No database: the directory may lie on NFS, be copied with rsync and be read by people.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from lipbench.core.atomic import write_text
from lipbench.core.damage import Damage
from lipbench.core.errors import Damaged, StoreError, UnknownName, cannot_write, disk_full
from lipbench.core.integrity import fault
from lipbench.core.leases import Held, Leases
from lipbench.core.record import Record, parse_record, record_text

__all__ = ["Record", "Store"]


class Store:
    """Records under one run directory; safe for several processes and hosts at once.

    Args:
        create: make the folders.

    Attributes:
        repairs: what `take` finds damaged is set aside; a run does so, what only reads does not.
        damaged: key -> what is wrong with what is kept of it, as far as it was looked at.
        borrowed: keys whose record was found elsewhere (`RunStore`) and is not here yet: a run has to look again.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = root
        self.leases = Leases(root / "leases")
        self._objects = str(root / "objects")
        self.repairs = False
        self.damaged = Damage(root)
        self.borrowed: set[str] = set()
        if create or (root.exists() and not root.is_dir()):
            self.create()  # in the second case: to say that it cannot be

    def create(self) -> None:
        """Make the folders. A store without them can be read: it is empty.

        Raises:
            StoreError: they cannot be made.
        """
        try:
            for name in ("objects", "leases", "work"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(error, self.root) from error
            raise StoreError(
                f"cannot use {self.root} as a run directory", f"{error.strerror}", "name another with --out"
            ) from error

    def begin(self) -> None:
        """A run begins to work here.

        Raises:
            StoreError: the folders cannot be made.
        """
        self.create()
        self.repairs = True
        self.sweep()

    def end(self) -> None:
        """The run has ended."""

    def is_writable(self) -> bool:
        """False for a folder that is there and can only be read: of somebody else, or of a read-only file system.

        A folder that is not there yet counts as writable: `create` says why it cannot be made.
        """
        probe = self.root / f".lipbench-{uuid.uuid4().hex}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            return error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM)
        return True

    def directory(self, key: str) -> Path:
        """Where a key's record and outputs lie (or will lie)."""
        return self.root / "objects" / key[:2] / key

    def get(self, key: str) -> Record | None:
        """The record of a key; None when there is none, or one that cannot be trusted (then there is a remark)."""
        try:
            return self.read(key)
        except Damaged as error:
            self.damaged.note(key, error.why)
            return None

    def read(self, key: str) -> Record | None:
        """The record of a key, or None.

        Raises:
            Damaged: it cannot be read, is of another format, or is not as it was written.
        """
        path = f"{self._objects}/{key[:2]}/{key}/record.json"  # millions are read: no Path is made for each
        try:
            with open(path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Damaged(f"cannot read {path}", str(error.strerror), "run again: its stage runs again") from error
        return parse_record(text, key)

    def take(self, key: str) -> Record | None:
        """The record of a key whose files are what they were, as far as a quick look tells.

        None when there is none, or a damaged one: it is noted, and set aside where this store repairs.
        """
        record = self.get(key)
        wrong = self.damaged.get(key) if record is None else self.fault(record)
        if wrong is None:
            return record
        self.damaged.note(key, wrong)
        if self.repairs:
            with contextlib.suppress(StoreError):  # it cannot be written: the stage that runs in its place will say so
                self.set_aside(key)
        return None

    def fault(self, record: Record, *, content: bool = False, needed: bool = False) -> str | None:
        """What is wrong with a record's files; see `lipbench.core.integrity.fault`.

        Args:
            needed: somebody is about to read them, so those that lie elsewhere (`RunStore`) have to be here.
        """
        return fault(f"{self._objects}/{record.key[:2]}/{record.key}", record.outputs, record.rest, content=content)

    def set_aside(self, key: str, *, content: bool = False, needed: bool = False) -> bool:
        """Move what is kept of a key to damaged/, if it is still damaged; its stage then runs again.

        Args:
            content: read its files whole.
            needed: as in `fault`.

        Returns:
            Whether it was moved. Somebody who works on the key keeps it where it is.

        Raises:
            StoreError: the directory cannot be written.
        """
        lease = Store.claim(self, key)
        if lease is None:
            return False
        try:
            try:
                record = self.read(key)
                wrong = None if record is None else self.fault(record, content=content, needed=needed)
            except Damaged as error:
                wrong = error.why
            if wrong is not None:
                self.damaged.note(key, wrong)
            self.damaged.pop(key, None)  # what comes in its place is another
            if wrong is None:
                return False
            target = self.root / "damaged" / f"{key}-{uuid.uuid4().hex[:8]}"
            target.parent.mkdir(exist_ok=True)
            os.rename(self.directory(key), target)
            return True
        except OSError as error:
            raise cannot_write(error, self.root) from error
        finally:
            lease.release()

    def output(self, record: Record, name: str) -> Path:
        """The path of one of a record's outputs."""
        return self.directory(record.key) / str(record.outputs[name]["path"])

    def relative(self, record: Record, name: str) -> str:
        """The same as text, relative to the run directory."""
        return f"objects/{record.key[:2]}/{record.key}/{record.outputs[name]['path']}"

    def workspace(self, key: str) -> Path:
        """A fresh private directory for a stage in flight; `out/` in it is empty.

        Raises:
            StoreError: it cannot be made; DiskFull when no space is left.
        """
        path = self.root / "work" / f"{key[:16]}-{uuid.uuid4().hex[:8]}"
        try:
            (path / "out").mkdir(parents=True)
        except OSError as error:
            raise cannot_write(error, path) from error
        return path

    def put(self, record: Record, workspace: Path) -> Record:
        """Publish a stage: its workspace becomes objects/<key>. A finished, sound record is never replaced.

        Returns the record that is in the store afterwards.

        Raises:
            Damaged: an output that the record names is not in the workspace.
            DiskFull: no space left.
            StoreError: the directory cannot be written.
        """
        wrong = None if workspace.is_dir() else "the stage's folder is gone"
        wrong = wrong or fault(workspace, record.outputs, record.rest)
        if wrong is not None:
            raise Damaged(
                f"the files of the {record.kind} are not where they were written",
                f"{workspace}: {wrong}",
                "see that every machine of the run has the run directory under the same absolute path",
            )
        write_text(workspace / "record.json", record_text(record))
        return self.settle(workspace, record.key) or record

    def settle(self, workspace: Path, key: str) -> Record | None:
        """Make a folder with a record the result of a key, unless there is a finished, sound one.

        Returns:
            The one that was there; None when the folder took the place.

        Raises:
            DiskFull: no space left.
            StoreError: the directory cannot be written.
        """
        final = self.directory(key)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(10):
                present = self.look(key)
                if present is not None and present.finished:
                    shutil.rmtree(workspace, ignore_errors=True)
                    return present
                if final.exists():
                    # An unfinished attempt: move it out of the way in one step, then delete it at leisure.
                    trash = self.root / "work" / f"old-{uuid.uuid4().hex}"
                    with contextlib.suppress(FileNotFoundError):
                        os.rename(final, trash)
                        shutil.rmtree(trash, ignore_errors=True)
                try:
                    os.rename(workspace, final)
                    self.damaged.pop(key, None)
                    return None
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise
        except OSError as error:
            raise cannot_write(error, final) from error
        raise StoreError(f"cannot publish {final}", "other processes keep writing it", "run the command again")

    def look(self, key: str) -> Record | None:
        """As `take` for who is about to read it, with no remark; nothing is set aside."""
        try:
            record = self.read(key)
        except Damaged:
            return None
        return None if record is None or self.fault(record, needed=True) is not None else record

    def claim(self, key: str) -> Held | None:
        """The lease of a key, or None when somebody who lives holds it.

        Raises:
            DiskFull: no space left.
            StoreError: the directory cannot be written.
        """
        try:
            return self.leases.claim(key)
        except OSError as error:
            raise cannot_write(error, self.root) from error

    def sweep(self) -> None:
        """Delete workspaces that no living stage can own (left by a killed run)."""
        self.leases.sweep()
        for path in (self.root / "work").iterdir():
            try:
                lease = self.leases.holder(path.name[:16])
                if lease is None or self.leases.abandoned(lease):
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:
                continue

    def find(self, prefix: str) -> Record:
        """The record whose key starts with `prefix` (at least 4 digits).

        Raises:
            UnknownName: none or several.
            Damaged: it cannot be trusted.
        """
        keys = [p.name for p in (self.root / "objects" / prefix[:2]).glob(f"{prefix}*")] if len(prefix) >= 4 else []
        if len(keys) != 1:
            why = f"{len(keys)} records match" if keys or len(prefix) >= 4 else "a key needs at least 4 digits"
            raise UnknownName(f"no single record for the key {prefix!r} in {self.root}", why, "give more digits")
        record = self.read(keys[0])
        if record is None:
            raise Damaged(f"{keys[0][:12]} has no record", "its record.json is gone", "run the same command again")
        return record

    def records(self) -> Iterator[Record]:
        """Every record that can be read, in no particular order."""
        for path in (self.root / "objects").glob("??/*"):
            if (record := self.get(path.name)) is not None:
                yield record
