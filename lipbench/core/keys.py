"""Identity: what a stage's result depends on, as one SHA-256.

A key is the hash of the canonical JSON of everything that can change pixels or numbers. What cannot (host, device,
worker count, paths) never enters. `KEY_VERSION` is part of every pre-image: bump it when the meaning of a field
changes, and freeze the new expected key in tests/core/test_keys.py. Code enters as the digest of all modules that a
stage is made by: see `lipbench.core.code`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

KEY_VERSION = 2


def canonical(value: Any) -> str:
    """Canonical JSON: sorted keys, no spaces, ASCII, no NaN.

    Floats that are whole numbers hash like the integer (a run file's `3` and `3.0` mean one thing), tuples like lists,
    sets like sorted lists.

    Raises:
        ValueError: NaN or infinity.
        TypeError: a value that JSON has no form for (paths on purpose: a path is not an identity).
    """
    return _ENCODE(_plain(value))


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode
#: What stands for itself; subclasses take the long way.
_SAME = frozenset({str, int, bool, type(None)})


def _plain(value: Any) -> Any:
    # Nearly everything is one of these, and a plan has millions.
    kind = type(value)
    if kind in _SAME:
        return value
    if kind is dict:
        plain = {k: v if type(v) in _SAME else _plain(v) for k, v in value.items() if type(k) is str}
        if len(plain) == len(value):
            return plain
    elif kind is list or kind is tuple:
        return [v if type(v) in _SAME else _plain(v) for v in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "model_dump"):
        return _plain(value.model_dump(mode="json"))
    if isinstance(value, Mapping):
        bad = [k for k in value if not isinstance(k, str)]
        if bad:
            raise TypeError(f"keys of a key's pre-image must be strings, not {bad[0]!r}")
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(v) for v in value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"cannot put {type(value).__name__} into a key: {value!r}")


def key_of(preimage: Mapping[str, Any]) -> str:
    """The key (64 hex digits) of a pre-image; `KEY_VERSION` is added under `v`."""
    return hashlib.sha256(canonical({"v": KEY_VERSION, **preimage}).encode("ascii")).hexdigest()


def sha256_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def first_difference(a: Any, b: Any, where: str = "") -> tuple[str, Any, Any] | None:
    """The first field (dotted path) in which two pre-images differ, with both values; None when they are equal."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        for name in sorted(set(a) | set(b)):
            path = f"{where}.{name}" if where else name
            if name not in a or name not in b:
                return path, a.get(name, "(absent)"), b.get(name, "(absent)")
            if found := first_difference(a[name], b[name], path):
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            if found := first_difference(x, y, f"{where}[{i}]"):
                return found
        return None
    return None if a == b else (where, a, b)
