"""Who works on a key right now: LEASES/<key>/owner.json, for several processes and hosts at once.

A lease appears whole, by one rename. On its own host it holds as long as its process lives, whatever the clocks say;
for other hosts as long as its heartbeat is not older than STALE_S by the clock of the file system that both see.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import socket
import threading
import uuid
from pathlib import Path
from typing import Any, Protocol

from lipbench.core import system
from lipbench.core.errors import disk_full

#: Seconds without a heartbeat after which a process of another host may take a lease over.
STALE_S = 60.0
HEARTBEAT_S = 10.0


class Lease:
    """The right to work on one key, kept alive by a heartbeat until `release`."""

    def __init__(self, directory: Path, token: str) -> None:
        self.directory, self._token = directory, token
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            if not self.mine():
                return
            with contextlib.suppress(OSError):
                os.utime(self.directory)  # no time given: the file system's own

    def mine(self) -> bool:
        """Whether nobody took it over."""
        return (owner(self.directory) or {}).get("token") == self._token

    def release(self) -> None:
        """Give it back; another's is left alone."""
        self._stop.set()
        if self.mine():
            _remove(self.directory)


class Held(Protocol):
    """What `claim` gives."""

    def mine(self) -> bool: ...

    def release(self) -> None: ...


class Both:
    """Two leases of one key, in two folders, held and given back together."""

    def __init__(self, first: Held, second: Held) -> None:
        self._leases = (first, second)

    def mine(self) -> bool:
        """Whether nobody took either over."""
        return all(lease.mine() for lease in self._leases)

    def release(self) -> None:
        """Give both back."""
        for lease in self._leases:
            lease.release()


def owner(directory: Path) -> dict[str, Any] | None:
    """Whose lease it is; None when that cannot be read."""
    try:
        found = json.loads((directory / "owner.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("pid"), int) else None


def _remove(directory: Path) -> None:
    """Out of the way in one step, then deleted: nobody sees half a lease."""
    trash = directory.with_name(f".gone-{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        os.rename(directory, trash)
    shutil.rmtree(trash, ignore_errors=True)


class Leases:
    """The leases below one folder, which `claim` takes to be there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def claim(self, key: str) -> Lease | None:
        """The lease of a key, or None when somebody holds it.

        Raises:
            DiskFull: no space left.
            OSError: the folder cannot be written.
        """
        path = self.folder / key
        if path.exists() and not self.abandoned(path):
            return None
        token = uuid.uuid4().hex
        draft = self.folder / f".claim-{token}"
        pid = os.getpid()
        about = {
            "host": socket.gethostname(),
            "space": system.process_space(),
            "pid": pid,
            "started": system.process_start(pid),
            "token": token,
        }
        try:
            draft.mkdir()
            (draft / "owner.json").write_text(json.dumps(about), encoding="utf-8")
            for _ in range(3):
                if self._place(draft, path, token):
                    return Lease(path, token)
                if not self.abandoned(path):
                    return None
                _remove(path)  # one of several contenders wins this rename
            return None
        except OSError as error:
            raise disk_full(error, path) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    @staticmethod
    def _place(draft: Path, path: Path, token: str) -> bool:
        """A folder is renamed onto a name that is free, never onto a lease, which is a folder with a file in it."""
        try:
            os.rename(draft, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                raise
            # On NFS the answer may have been lost, not the rename.
            return (owner(path) or {}).get("token") == token
        return True

    def abandoned(self, path: Path) -> bool:
        """Whether nobody works under a lease any more."""
        about = owner(path)
        if about is not None and about.get("space") == system.process_space():
            return not system.lives(about["pid"], about.get("started"))
        try:
            beat = path.stat().st_mtime
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return self._now() - beat > STALE_S

    def _now(self) -> float:
        """The time by the clock of the file system, which stamps a new file."""
        probe = self.folder / f".clock-{uuid.uuid4().hex}"
        try:
            probe.touch()
            return probe.stat().st_mtime
        except OSError:
            return float("-inf")  # nothing can be written, so nothing is taken over
        finally:
            with contextlib.suppress(OSError):
                probe.unlink()

    def holder(self, prefix: str) -> Path | None:
        """The lease of a key that begins so."""
        return next(self.folder.glob(f"{prefix}*"), None)

    def sweep(self) -> None:
        """Delete what killed processes left while they claimed or released."""
        now = None
        for path in self.folder.glob(".*-*"):
            try:
                now = self._now() if now is None else now
                if now - path.stat().st_mtime > STALE_S:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            except OSError:
                continue
