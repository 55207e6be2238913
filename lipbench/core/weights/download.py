"""One download over HTTP, which ends: it may be as long as it should be and take as long as that needs, no more."""

from __future__ import annotations

import time
from pathlib import Path

from lipbench.core.errors import WeightsMismatch, WeightsMissing

#: A file may be this much longer than its entry says; one whose length is not known has ROOM bytes.
SLACK, ROOM = 1.05, 2 << 30
#: Seconds until an answer comes and between two pieces; seconds after which less than SLOWEST bytes/s ends it; seconds
#: that any download may take, beside those that its length needs at PACE bytes/s.
QUIET, PATIENCE, SLOWEST, GRACE, PACE = 60.0, 60.0, 1000.0, 600.0, 100_000.0
_PIECE = 1 << 18


def download(url: str, target: Path, size: int, fix: str) -> Path:
    """Write what is at an address to `target`; nothing is left there when it fails.

    Args:
        size: bytes that are expected, about; 0 = unknown.
        fix: for the errors: what to do.

    Raises:
        WeightsMissing: no network, no such address, or it takes too long.
        WeightsMismatch: it is longer than it should be.
    """
    import requests  # pooch's own; too slow for module level

    room = round(size * SLACK) if size else ROOM
    began = time.monotonic()
    try:
        # Not decoded on the way: what a server packs must not unpack to more than it may be.
        with requests.get(url, stream=True, timeout=QUIET, headers={"Accept-Encoding": "identity"}) as answer:
            answer.raise_for_status()
            _keep_within(url, int(answer.headers.get("Content-Length") or 0), room, fix)
            with open(target, "wb") as out:
                while piece := answer.raw.read1(_PIECE):
                    out.write(piece)
                    _keep_within(url, out.tell(), room, fix)
                    _keep_pace(url, out.tell(), time.monotonic() - began, room, fix)
    except WeightsMissing:
        target.unlink(missing_ok=True)
        raise
    except WeightsMismatch:
        target.unlink(missing_ok=True)
        raise
    except Exception as error:  # requests' errors, and urllib3's that slip through it
        target.unlink(missing_ok=True)
        why = str(error).rsplit("(Caused by ", 1)[-1].rstrip(")")[:200] or type(error).__name__
        raise WeightsMissing(f"cannot download {url}", why, fix) from error
    return target


def _keep_within(url: str, length: int, room: int, fix: str) -> None:
    if length > room:
        raise WeightsMismatch(
            f"{url} is not the file that is wanted",
            f"it is longer than the {room / 1e6:,.1f} MB that it may have; the rest was not fetched",
            fix,
        )


def _keep_pace(url: str, length: int, seconds: float, room: int, fix: str) -> None:
    slow = seconds > PATIENCE and length < SLOWEST * seconds
    if slow or seconds > GRACE + room / PACE:
        raise WeightsMissing(f"cannot download {url}", f"only {length / 1e6:,.3f} MB came in {seconds:,.0f} s", fix)
