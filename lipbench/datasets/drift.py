"""Lengths that differ by a well-known ratio: film at another speed."""

from __future__ import annotations

from lipbench.datasets.dub_sound import LENGTH_SLACK_S

#: What one frame rate played as another makes of a length: (as it plays, as it was made), frames per second.
SPEEDS = ((25.0, 24000 / 1001), (25.0, 24.0), (24.0, 24000 / 1001))

#: Below this length a second breath explains as much as a speed, s.
SHORTEST_S = 5.0


def speed_words(clip_s: float, dub_s: float) -> str:
    """What to say of a dub that is as long as its clip at another speed would be; "" where no speed explains it."""
    found: list[tuple[float, float, float]] = []
    if clip_s < SHORTEST_S:
        return ""
    for fast, slow in SPEEDS:
        for above, below in ((fast, slow), (slow, fast)):
            off = abs(dub_s * above / below - clip_s)
            if off < min(LENGTH_SLACK_S, abs(dub_s - clip_s) / 3):
                found.append((off, above, below))
    if not found:
        return ""
    _, above, below = min(found)
    names = {24000 / 1001: "23.976"}
    ratio = "/".join(names.get(rate, f"{rate:g}") for rate in (above, below))
    return f"; the lengths are as {ratio} ({above / below:.4f}), a film at another speed: if it drifts, `rate: {ratio}`"
