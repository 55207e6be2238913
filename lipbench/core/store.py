"""The run directory: one JSON record per finished stage, beside its outputs.

    RUN/objects/ab/ab12.../record.json   what happened; `preimage` is what the key was made of
    RUN/objects/ab/ab12.../out/          the stage's files
    RUN/objects/ab/ab12.../log.txt       everything it printed
    RUN/code/ab12....json                modules behind the keys, for `lipbench explain`
    RUN/leases/ab12.../owner.json        who works on it right now
    RUN/work/                            stages in flight

A stage is built in work/ and appears under objects/ by one rename, so a record is there whole or not at all. No
database: the directory may lie on NFS, be copied with rsync and be read by people.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lipbench.core.atomic import write_json
from lipbench.core.errors import StoreError, UnknownName, disk_full

SCHEMA = 1
#: Seconds without a heartbeat after which another process may take a lease over.
STALE_S = 60.0
HEARTBEAT_S = 10.0

#: Statuses that a rerun keeps; the others are tried again.
FINISHED = frozenset({"ok", "refused"})


@dataclass(frozen=True)
class Record:
    """What a finished stage left.

    Attributes:
        schema: version of this format.
        key: of the stage.
        kind: of the stage.
        status: ok, refused (the input cannot be used; final), error, crashed, oom, timeout.
        preimage: what the key was made of, for `lipbench explain`.
        outputs: name -> {"path": relative to the record, "sha256", "bytes"}.
        info: facts the stage reported.
        scores: metric id -> {"value", "reason", "n_valid", "n_total", "version", "extra"}; +inf is the string "inf".
        timing: {"started" (Unix s), "wall_s", "cpu_s", "peak_rss_mb"}.
        provenance: code, versions, hardware.
        error: {"reason", "what", "why", "fix", "traceback"} when status is not ok.
        attempts: how often it was tried in the run that finished it.
    """

    key: str
    kind: str
    status: str
    preimage: Mapping[str, Any]
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, str] | None = None
    attempts: int = 1
    schema: int = SCHEMA

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def reason(self) -> str | None:
        """One line: why there is no result."""
        if self.error is None:
            return None
        parts = (self.error.get(k, "") for k in ("what", "why", "fix"))
        return f"{self.error['reason']}: " + "; ".join(p.strip().rstrip(".") for p in parts if p)


class Lease:
    """The right to work on one key, kept alive by a heartbeat until `release`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            try:
                os.utime(self.directory)
            except OSError:
                return

    def release(self) -> None:
        self._stop.set()
        shutil.rmtree(self.directory, ignore_errors=True)


class Store:
    """Records under one run directory; safe for several processes and hosts at once."""

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = root
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

    def directory(self, key: str) -> Path:
        """Where a key's record and outputs lie (or will lie)."""
        return self.root / "objects" / key[:2] / key

    def get(self, key: str) -> Record | None:
        """The record of a key, or None.

        Raises:
            StoreError: the record is of a newer schema or cannot be read.
        """
        path = self.directory(key) / "record.json"
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"cannot read {path}", str(error), "delete its folder: the stage runs again on the next run"
            ) from error
        if data.get("schema") != SCHEMA:
            raise StoreError(
                f"cannot read {path}",
                f"its schema is {data.get('schema')}, this lipbench reads {SCHEMA}",
                "use another run directory (--out) or the lipbench that wrote this one",
            )
        return Record(**data)

    def output(self, record: Record, name: str) -> Path:
        """The path of one of a record's outputs."""
        return self.directory(record.key) / str(record.outputs[name]["path"])

    def workspace(self, key: str) -> Path:
        """A fresh private directory for a stage in flight; `out/` in it is empty."""
        path = self.root / "work" / f"{key[:16]}-{uuid.uuid4().hex[:8]}"
        try:
            (path / "out").mkdir(parents=True)
        except OSError as error:
            raise disk_full(error, path) from error
        return path

    def put(self, record: Record, workspace: Path) -> Record:
        """Publish a stage: its workspace becomes objects/<key>. A finished record is never replaced.

        Returns the record that is in the store afterwards.
        """
        final = self.directory(record.key)
        write_json(workspace / "record.json", asdict(record))
        final.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(10):
            present = self.get(record.key)
            if present is not None and present.finished:
                shutil.rmtree(workspace, ignore_errors=True)
                return present
            if final.exists():
                # An unfinished attempt: move it out of the way in one step, then delete it at leisure.
                trash = self.root / "work" / f"old-{uuid.uuid4().hex}"
                try:
                    os.rename(final, trash)
                    shutil.rmtree(trash, ignore_errors=True)
                except FileNotFoundError:
                    pass
            try:
                os.rename(workspace, final)
                return record
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise disk_full(error, final) from error
        raise StoreError(f"cannot publish {final}", "other processes keep writing it", "run the command again")

    def claim(self, key: str) -> Lease | None:
        """The lease of a key, or None when a living process holds it. mkdir is atomic on NFS too."""
        path = self.root / "leases" / key
        for _ in range(3):
            try:
                path.mkdir()
            except FileExistsError:
                if not self._abandoned(path):
                    return None
                try:  # one of several contenders wins this rename
                    trash = path.with_name(f"dead-{uuid.uuid4().hex}")
                    os.rename(path, trash)
                    shutil.rmtree(trash, ignore_errors=True)
                except FileNotFoundError:
                    pass
                continue
            except OSError as error:
                raise disk_full(error, path) from error
            write_json(path / "owner.json", {"host": socket.gethostname(), "pid": os.getpid()})
            return Lease(path)
        return None

    @staticmethod
    def _abandoned(path: Path) -> bool:
        try:
            age = time.time() - path.stat().st_mtime
            owner = json.loads((path / "owner.json").read_text())
        except FileNotFoundError:
            # Either gone already, or its owner is between mkdir and owner.json.
            return path.exists() and time.time() - path.stat().st_mtime > HEARTBEAT_S
        except (OSError, ValueError):
            return False
        if owner["host"] == socket.gethostname() and not _alive(int(owner["pid"])):
            return True
        return age > STALE_S

    def sweep(self) -> None:
        """Delete workspaces that no living stage can own (left by a killed run)."""
        for path in (self.root / "work").iterdir():
            try:
                lease = next((self.root / "leases").glob(f"{path.name[:16]}*"), None)
                if lease is None or self._abandoned(lease):
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:
                continue

    def find(self, prefix: str) -> Record:
        """The record whose key starts with `prefix` (at least 4 digits).

        Raises:
            UnknownName: none or several.
        """
        keys = [p.name for p in (self.root / "objects" / prefix[:2]).glob(f"{prefix}*")] if len(prefix) >= 4 else []
        if len(keys) != 1:
            why = f"{len(keys)} records match" if keys or len(prefix) >= 4 else "a key needs at least 4 digits"
            raise UnknownName(f"no single record for the key {prefix!r} in {self.root}", why, "give more digits")
        record = self.get(keys[0])
        assert record is not None
        return record

    def records(self) -> Iterator[Record]:
        """Every record, in no particular order."""
        for path in (self.root / "objects").glob("??/*"):
            if (record := self.get(path.name)) is not None:
                yield record


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
