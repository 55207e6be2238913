"""What a finished stage left, as an object and as record.json.

The file carries a digest of its own content: a record that was cut, mixed up or edited by hand is no record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any

from lipbench.core.errors import Damaged

#: 1 had no digest, and neither `rest` nor times of outputs; such records are read as they are.
SCHEMA = 2
#: Statuses that a rerun keeps; the others are tried again.
FINISHED = frozenset({"ok", "refused"})
STATUSES = FINISHED | {"error", "crashed", "oom", "timeout"}


@dataclass(frozen=True)
class Record:
    """What a finished stage left.

    Attributes:
        schema: version of this format.
        key: of the stage.
        kind: of the stage.
        status: ok, refused (the input cannot be used; final), error, crashed, oom, timeout.
        preimage: what the key was made of, for `lipbench explain`.
        outputs: name -> {"path": relative to the record, "sha256", "bytes", "mtime_ns"}, of videos also "picture".
        rest: the files beside them in out/, see `lipbench.core.integrity`; None when that was not written down.
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
    rest: Mapping[str, Any] | None = None
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


_REQUIRED = ("key", "kind", "status", "preimage")
_TYPES = {f.name: dict for f in fields(Record)} | {"key": str, "kind": str, "status": str, "attempts": int}


def record_text(record: Record) -> str:
    """The record as it is written: the first line holds the SHA-256 of the others."""
    body = json.dumps({**asdict(record), "schema": SCHEMA}, indent=1, allow_nan=False).removeprefix("{\n") + "\n"
    return f"{_HEAD.decode()}{hashlib.sha256(body.encode()).hexdigest()}{_TAIL.decode()}{body}"


_HEAD, _TAIL = b'{\n "digest": "', b'",\n'
_BODY = len(_HEAD) + 64 + len(_TAIL)


def parse_record(text: bytes, key: str) -> Record:
    """The record that a record.json holds.

    Args:
        key: whose it should be.

    Raises:
        Damaged: not a record, one of another format or key, or not as it was written.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(key, f"no JSON: {error}" if text.strip() else "it is empty") from error
    if not isinstance(data, dict):
        raise _damaged(key, f"it holds a {type(data).__name__}, not a record")
    schema = data.get("schema")
    if schema not in (1, SCHEMA):
        raise _damaged(key, f"its schema is {schema}, this lipbench reads {SCHEMA}")
    if schema == SCHEMA:
        digest = hashlib.sha256(memoryview(text)[_BODY:]).hexdigest()
        if text[:_BODY] != _HEAD + digest.encode() + _TAIL:
            raise _damaged(key, "it was changed after it was written")
        del data["digest"]
    if wrong := _misshapen(data):
        raise _damaged(key, wrong)
    if data["key"] != key:
        raise _damaged(key, f"it is the record of {data['key'][:12]}")
    return Record(**data)


def _misshapen(data: Mapping[str, Any]) -> str | None:
    """What keeps a mapping from being a record."""
    if missing := [name for name in _REQUIRED if name not in data]:
        return f"it has no {missing[0]}"
    for name, value in data.items():
        if name not in _TYPES:
            return f"nothing is called {name!r} in a record"
        if (
            name not in ("schema", "error")
            and not (name == "rest" and value is None)
            and not isinstance(value, _TYPES[name])
        ):
            return f"its {name} is a {type(value).__name__}"
    error = data.get("error")
    if error is not None and not (isinstance(error, dict) and "reason" in error):
        return "its error has no reason"
    if data["status"] not in STATUSES:
        return f"its status is {data['status']!r}"
    for path, about in (data.get("rest") or {}).items():
        if not isinstance(about, list) or len(about) != 3 or ".." in PurePosixPath(path).parts or path.startswith("/"):
            return f"what it says of {path} is no size, time and hash of a file in its own folder"
    for name, output in data.get("outputs", {}).items():
        if not isinstance(output, dict) or not {"path", "sha256", "bytes"} <= output.keys():
            return f"its output {name} lacks a path, a hash or a size"
        parts = PurePosixPath(str(output["path"])).parts
        if parts[:1] != ("out",) or ".." in parts:
            return f"its output {name} is not in its own folder"
    return None


def _damaged(key: str, why: str) -> Damaged:
    return Damaged(f"cannot use the record of {key[:12]}", why, "run the same command again: its stage runs again")
