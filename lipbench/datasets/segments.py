"""The parts of a video that are one clip: what a manifest may say of them."""

from __future__ import annotations

from collections.abc import Sequence

from lipbench.core.fields import mistake

#: A segment has frames enough to fit a head to, s.
SHORTEST_S = 0.4


def check_segments(segments: Sequence[tuple[float, float]], beside: Sequence[str]) -> None:
    """Raises ValueError for segments that are too short, or not in order, or beside what excludes them.

    Args:
        segments: start and end of each, seconds of the video.
        beside: fields of the clip that are given and belong to a whole video or to one part of it.
    """
    before = 0.0
    for start, end in segments:
        what = f"the segment {start:g} s to {end:g} s"
        if end <= start:
            raise mistake(f"{what} ends before it starts", "write [start, end]")
        if end - start < SHORTEST_S:
            raise mistake(f"{what} is shorter than {SHORTEST_S:g} s", "leave it out: a face cannot be followed in it")
        if start < before:
            raise mistake(f"{what} begins within another", "write them in order")
        before = end
    if segments and beside:
        raise mistake(f"segments beside {beside[0]}", "the segments alone say what is used: delete one of them")
