"""How often a service is asked: agreed on by all processes of a user on this machine, through files that are locked."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lipbench.baselines.external.config_env import Limit
from lipbench.core.errors import LipbenchError

_LOOK_S = 0.2


def timed_out(name: str, limit_s: float) -> LipbenchError:
    return LipbenchError(
        f"{name} did not end within its limit of {limit_s:g} s",
        "the service took too long, or its limits let nobody through",
        "raise timeout_s in the method file, or use shorter clips",
        reason="timeout",
    )


@contextmanager
def turn(folder: Path, limit: Limit, wait: Callable[[float], None]) -> Iterator[None]:
    """Wait until the service may be asked once more, and hold that place.

    Args:
        folder: of this service; made when it is not there.
        limit: how often, how many at once.
        wait: sleeps for so many seconds, or raises when the time is up.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = _place(folder, limit.at_once, wait)
    try:
        if limit.per_minute is not None:
            _start(folder / "starts.json", limit.per_minute, wait)
        yield
    finally:
        place.close()  # and with it the lock


def _place(folder: Path, places: int, wait: Callable[[float], None]) -> IO[str]:
    while True:
        for number in range(places):
            file = open(folder / f"place{number}", "a")  # noqa: SIM115 - held while the service is asked
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return file
            except OSError:
                file.close()
        wait(_LOOK_S)


def _start(book: Path, per_minute: float, wait: Callable[[float], None]) -> None:
    """Enter a start into the book once it allows one; starts are evenly spread when they come in a row."""
    while True:
        with open(book, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            try:
                last = float(json.loads(file.read() or "0"))
            except (ValueError, TypeError):
                last = 0.0
            now = time.time()
            due = min(last, now) + 60.0 / per_minute
            if now >= due:
                file.seek(0)
                file.truncate()
                file.write(json.dumps(now))
                return
        wait(due - now)
