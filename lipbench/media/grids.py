"""Rules by which tools bring a video to another frame rate: which source frame each new frame shows.

lipbench's own rule is that of ffmpeg's `fps` filter (`media.clock`). `ffmpeg -r` drops and repeats frames by another,
of which several versions are about; many scripts take the frame that is on the screen at the new frame's time. An
output made by another rule shows other frames of the source: none is wrong, and slot by slot they are no pairs.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction

from lipbench.media.clock import TOLERANCE, slot

#: A frame is dropped or repeated when it is this much too late or too early, new frames (ffmpeg's fftools): at a
#: constant rate, and in containers that keep time stamps, among which ffmpeg counts AVI.
_LATE, _LATE_AVI = 1.1, 0.6

Times = Sequence[Fraction]


def by_time_stamps(starts: Times, end: Fraction, rate: Fraction) -> list[int]:
    """`media.clock`'s rule: the nearest slot, as ffmpeg's `fps` filter."""
    total = max(slot(end, rate), 1)
    found = [0] * total
    for k, start in enumerate(starts):
        at = slot(start, rate)
        if at < total:
            found[at] = k
    for n in range(1, total):
        found[n] = max(found[n], found[n - 1])
    return found


def on_screen(starts: Times, end: Fraction, rate: Fraction) -> list[int]:
    """The frame that is shown at the new frame's time."""
    total = max(slot(end, rate), 1)
    return [max(bisect_right(starts, n / rate + TOLERANCE / 10) - 1, 0) for n in range(total)]


def ffmpeg_r(starts: Times, end: Fraction, rate: Fraction) -> list[int]:
    """`ffmpeg -r` since ffmpeg 6: a frame goes, or comes twice, when the picture is a frame behind or ahead."""
    return _constant(starts, end, rate, lambda frames: frames)


def ffmpeg_5_r(starts: Times, end: Fraction, rate: Fraction) -> list[int]:
    """`ffmpeg -r` up to ffmpeg 5, which counts a frame's duration in whole new frames."""
    return _constant(starts, end, rate, lambda frames: float(round(frames)) or frames)


def _constant(starts: Times, end: Fraction, rate: Fraction, duration: Callable[[float], float]) -> list[int]:
    """fftools' video sync "cfr": new frames are numbered, and a source frame is compared with its number's time."""
    found: list[int] = []
    for k, start in enumerate(starts):
        until = starts[k + 1] if k + 1 < len(starts) else end
        early = float(start * rate) - len(found)
        ahead = early + duration(float((until - start) * rate))
        if early < 0 < ahead:
            early = 0.0
        count, before = 1, 0
        if ahead < -_LATE:
            count = 0
        elif ahead > _LATE:
            count = round(ahead)
            before = min(round(early - 0.6), count) if early > _LATE else 0
        found += [max(k - 1, 0)] * before + [k] * (count - before)
    return found


def ffmpeg_5_avi(starts: Times, end: Fraction, rate: Fraction) -> list[int]:
    """`ffmpeg -r` up to ffmpeg 5 into an AVI: the route of syncnet_python's `run_pipeline.py` to 25 fps.

    fftools' video sync "vfr"; a number that is passed over is an empty frame, which players show as the one before.
    """
    found: list[int] = []
    for k, start in enumerate(starts):
        until = starts[k + 1] if k + 1 < len(starts) else end
        early = float(start * rate) - len(found)
        length = float((until - start) * rate)
        ahead = early + (float(round(length)) or length)
        if ahead <= -_LATE_AVI:
            continue
        if ahead > _LATE_AVI:
            found += [max(k - 1, 0)] * (round(max(float(start * rate), len(found))) - len(found))
        found.append(k)
    return found


#: Name in results -> rule; the first is lipbench's own.
GRIDS: dict[str, Callable[[Times, Fraction, Fraction], list[int]]] = {
    "by time stamps": by_time_stamps,
    "ffmpeg -r": ffmpeg_r,
    "ffmpeg -r (up to ffmpeg 5)": ffmpeg_5_r,
    "ffmpeg -r to AVI (up to ffmpeg 5)": ffmpeg_5_avi,
    "frame on screen": on_screen,
}


def mean_lag(picks: Sequence[int], starts: Times, rate: Fraction) -> Fraction:
    """How much later than its own time a picture is shown, mean over the new frames, seconds."""
    return sum((n / rate - starts[k] for n, k in enumerate(picks)), Fraction(0)) / len(picks)
