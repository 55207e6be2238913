"""Moments and scenes of a film as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lipbench.core.errors import UsageError

_MOMENT = re.compile(r"(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Scene:
    """Seconds [start, end) of a film."""

    start: float
    end: float

    def __str__(self) -> str:
        return f"{clock(self.start)}-{clock(self.end)}"


def moment(text: str) -> float:
    """Seconds of "750.5", "12:30.5" or "0:12:30.5".

    Raises:
        UsageError: none of these.
    """
    match = _MOMENT.fullmatch(text.strip())
    if match is None or (match[2] is not None and float(match[3]) >= 60) or (match[1] and int(match[2]) >= 60):
        raise UsageError(f"{text!r} is no time", "", "write seconds, or 00:12:30 or 00:12:30.5")
    return int(match[1] or 0) * 3600 + int(match[2] or 0) * 60 + float(match[3])


def scene(text: str) -> Scene:
    """A scene written as FROM-TO, such as 00:12:30-00:13:10.

    Raises:
        UsageError: not of that form, or it ends before it starts.
    """
    start, dash, end = text.partition("-")
    if not dash:
        raise UsageError(f"{text!r} is no scene", "it has one time", "write FROM-TO, such as 00:12:30-00:13:10")
    found = Scene(moment(start), moment(end))
    if found.end <= found.start:
        raise UsageError(f"the scene {text} ends before it starts", "", "write FROM-TO, such as 00:12:30-00:13:10")
    return found


def clock(seconds: float) -> str:
    """750.5 -> 00:12:30.5: to the millisecond, without trailing zeros."""
    whole = round(seconds * 1000)
    h, m, s = whole // 3_600_000, whole // 60_000 % 60, whole % 60_000 / 1000
    return f"{h:02d}:{m:02d}:{s:06.3f}".rstrip("0").rstrip(".")
