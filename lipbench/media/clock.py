"""Frame rates and the rule by which frames fall on a constant-rate grid.

The rule is that of ffmpeg's `fps` filter with its defaults (round=near): with the first frame at time 0, a frame that
starts at time t goes to slot round(t * fps), halves up; slot n shows the last frame whose slot is <= n, so a frame that
is overtaken within its slot is dropped and a slot that no frame hits repeats the one before. The number of slots is
round(end * fps), end being the end of the last frame (its time stamp plus its duration), and at least 1.
From 30 to 25 fps this keeps frames 0 1 2 4 5, 6 7 8 10 11, ...: of every six, the fourth goes.
"""

from __future__ import annotations

from fractions import Fraction

from lipbench.core.errors import UsageError

#: Times given by people are floats: a frame within this much before `start_s` still counts as starting there.
TOLERANCE = Fraction(1, 2000)


def as_rate(fps: float | Fraction) -> Fraction:
    """Frames per second as an exact fraction: 25.0 -> 25, 29.97 -> 2997/100, 29.97002997 -> 30000/1001.

    Raises:
        UsageError: not a positive number.
    """
    try:
        rate = Fraction(fps).limit_denominator(1001)
    except (ValueError, OverflowError, TypeError) as error:
        raise UsageError(
            f"{fps!r} is not a frame rate", str(error), "give frames per second, for instance 25"
        ) from error
    if rate <= 0:
        raise UsageError(f"{fps!r} is not a frame rate", "it must be above zero", "give frames per second, such as 25")
    return rate


def as_time(seconds: float | Fraction) -> Fraction:
    """Seconds as an exact fraction, rounded to the microsecond."""
    return seconds if isinstance(seconds, Fraction) else Fraction(round(seconds * 1_000_000), 1_000_000)


def check_range(start_s: float, end_s: float | None) -> tuple[Fraction, Fraction | None]:
    """Both ends as fractions.

    Raises:
        UsageError: a negative start, or an end that is not after it.
    """
    if start_s < 0 or (end_s is not None and end_s <= start_s):
        raise UsageError(
            f"cannot take {start_s} s to {end_s} s of a clip",
            "start_s must be 0 or more and end_s after it",
            "mend start_s and end_s",
        )
    return as_time(start_s), None if end_s is None else as_time(end_s)


def slot(t: Fraction, rate: Fraction) -> int:
    """Slot of a frame that starts at `t` seconds: round(t * rate), halves up."""
    x = t * rate
    return (2 * x.numerator + x.denominator) // (2 * x.denominator)
