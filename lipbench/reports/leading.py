"""Which of a run's metrics answer most: what stands in a table that has room for a few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lipbench.reports import plain

#: Of lip sync, and of the picture.
COMPACT = 3


def picture_first(metrics: Mapping[str, Mapping[str, Any]], ids: Sequence[str]) -> list[str]:
    """Metrics of the picture, the ones that answer most first: against the correct video, and then the mouth alone.

    Against the undubbed source a mouth that never moves is best, so there the whole picture comes first.
    """

    def place(name: str) -> tuple[bool, bool]:
        truth, mouth = plain.against_truth(metrics[name]), metrics[name].get("region") == "mouth"
        return not truth, mouth != truth

    return sorted(ids, key=place)


def compact_ids(metrics: Mapping[str, Mapping[str, Any]], ids: Sequence[str], each: int = COMPACT) -> list[str]:
    """The metrics of the one table that everybody reads: the first of lip sync and the first of the picture.

    Args:
        each: how many of either.
    """
    sync = [name for name in ids if plain.measures_sync(metrics[name])]
    others = picture_first(metrics, [name for name in ids if name not in sync])
    return [*sync[:each], *others[:each]]
