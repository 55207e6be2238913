"""What a run recorded, said in plain words: statuses and reasons for people who do not know its inner names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

#: What became of a video that is not there.
STATUSES = {
    "error": "failed",
    "crashed": "crashed",
    "oom": "ran out of memory",
    "timeout": "took too long",
    "refused": "could not be made",
    "blocked": "not tried, since something it starts from is missing",
    "pending": "not made yet",
    "skipped": "not made yet",
}
#: Characters of a reason that stand beside other things.
ROOM = 160
_CODE = re.compile(r"^[a-z]+(?:_[a-z0-9]+)*: ")
_PATH = re.compile(r"(?<![\w.])(?:~|[A-Za-z]:)?[\\/](?:[^\s\\/;:,'\"()]+[\\/])+(?=[^\s\\/;:,'\"()])")


def without_paths(text: str) -> str:
    """The same without the folders of absolute paths: whoever reads it sits at another machine."""
    return _PATH.sub("", text)


def reason(text: str, room: int = ROOM) -> str:
    """A recorded reason without its code and folders, at most `room` characters."""
    flat = without_paths(_CODE.sub("", " ".join(text.split())))
    return flat if len(flat) <= room else flat[: room - 1].rstrip(" ,;") + "…"


def many(n: int, what: str, plural: str = "") -> str:
    """ "1 clip", "3 clips"."""
    return f"{n:,} {what}" if n == 1 else f"{n:,} {plural or what + 's'}"


def listed(names: Sequence[str], most: int = 4) -> str:
    """ "a, b and c"; beyond `most` names "a, b, c and 4 more"."""
    shown = list(names) if len(names) <= most else [*names[: most - 1], f"{len(names) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def unit(spec: Mapping[str, Any]) -> str:
    """A metric's unit as a page writes it."""
    return str(spec.get("unit") or "").replace("^2", "²")


def measures_sync(spec: Mapping[str, Any]) -> bool:
    """Whether a metric listens to the audio: then it says how well the lips follow it."""
    return "audio" in (spec.get("needs") or ())


def against_truth(spec: Mapping[str, Any]) -> bool:
    """Whether a metric compares with the correct video."""
    return "truth" in (spec.get("needs") or ())
