"""Which moments of a dub to show: where lips say something that the eye can check, or where the source blinks."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import NothingComparable, UsageError
from lipbench.faces.track import FaceTrack

#: How much a still image tells about a sound: lips closed, lip on teeth, rounded, wide open; others 0.1.
_SEEN = {"pbm": 1.0, "fvɱ": 0.9, "uoyøœʊɔwɥʏɒ": 0.8, "aɑæɐʌɛ": 0.7, "iɪeə": 0.4, "ʃʒ": 0.5}
#: Up to so many images in a row stay readable.
MAX_COLUMNS = 16
#: A blink closes the eyes by at least this share of their usual opening; less is noise of the landmarks.
LEAST_DROP = 0.35


@dataclass(frozen=True)
class Moment:
    """A frame of the dub and what is written above it."""

    frame: int
    label: str = ""


def shape(sound: str) -> str:
    """The group of sounds that look alike, as a key of _SEEN; "" for all others."""
    plain = unicodedata.normalize("NFD", sound)
    return next((signs for signs in _SEEN if any(sign in signs for sign in plain)), "")


def spread(phonemes: Sequence[Sequence[Any]], n: int, fps: float, n_frames: int, offset_s: float = 0.0) -> list[Moment]:
    """`n` moments over the clip, in each part of equal length the middle of its best visible sound.

    A look that was shown already counts half, twice shown a quarter: otherwise every column would be a closed mouth.

    Args:
        phonemes: rows of (start s, end s, IPA) on the clock of the dub's sound.
        offset_s: by which that sound is delayed in the video.
    """
    found = []
    shown: Counter[str] = Counter()
    middles = [((start + end) / 2 + offset_s, end - start, str(sound)) for start, end, sound in phonemes if sound]
    for low, high in pairwise(np.linspace(0, n_frames, n + 1)):
        inside = [
            (_SEEN.get(shape(sound), 0.1) / 2 ** shown[shape(sound)], length, time, sound)
            for time, length, sound in middles
            if low <= time * fps < high
        ]
        if inside:
            _, _, time, sound = max(inside)
            shown[shape(sound)] += 1
            found.append(Moment(min(int(time * fps), n_frames - 1), plain_sound(sound)))
        else:
            found.append(Moment(int((low + high) / 2), ""))
    return found


def plain_sound(sound: str) -> str:
    """Without stress and length marks and the markers of the synthesizer."""
    return sound.strip("ˈˌː-") or sound


def even(n: int, n_frames: int) -> list[Moment]:
    """`n` moments in the middle of `n` equal parts, without labels."""
    return [Moment(int((i + 0.5) * n_frames / n)) for i in range(n)]


def at(
    times: Sequence[float], phonemes: Sequence[Sequence[Any]], fps: float, n_frames: int, offset_s: float
) -> list[Moment]:
    """The frames at these seconds, with the sound that is spoken then.

    Raises:
        UsageError: a time outside the clip.
    """
    found = []
    for time in times:
        if not 0 <= time * fps < n_frames:
            raise UsageError(
                f"{time:g} s is not in the clip", f"it has {n_frames / fps:.2f} s", "choose --time inside it"
            )
        sounds = [str(sound) for start, end, sound in phonemes if start <= time - offset_s < end]
        found.append(Moment(int(time * fps + 1e-6), plain_sound(sounds[0]) if sounds else ""))
    return found


def eye_opening(track: FaceTrack) -> NDArray[np.float64]:
    """(T,) height over width of both eyes, NaN where the face is lost (Soukupova and Cech 2016, eye aspect ratio).

    Raises:
        NothingComparable: the track has no landmarks.
    """
    points = track.points68()
    if points is None:
        raise NothingComparable(
            "a blink cannot be found",
            f"the face tracker {track.backend} has no landmarks",
            "run with landmarks, or choose moments with --time",
        )
    p = points.astype(np.float64)
    ratio = np.zeros(len(p))
    for first in (36, 42):
        height = np.linalg.norm(p[:, first + 1] - p[:, first + 5], axis=1)
        height += np.linalg.norm(p[:, first + 2] - p[:, first + 4], axis=1)
        ratio += height / (2 * np.linalg.norm(p[:, first] - p[:, first + 3], axis=1))
    return ratio / 2


def around_blink(opening: NDArray[np.float64], n: int, fps: float) -> list[Moment]:
    """`n` moments over 0.4 s around the deepest blink, the closed eye in the middle.

    Raises:
        NothingComparable: nothing like a blink: the smallest opening is not well below the usual one.
    """
    if not np.isfinite(opening).any():
        raise NothingComparable("there is no blink to show", "no face was found", "choose moments with --time")
    usual, deepest = float(np.nanmedian(opening)), int(np.nanargmin(opening))
    if opening[deepest] > (1 - LEAST_DROP) * usual:
        least = f"the least is {opening[deepest] / usual:.0%}"
        raise NothingComparable(
            "there is no blink to show",
            f"the eyes never close below {1 - LEAST_DROP:.0%} of their usual opening; {least}",
            "choose another clip, or moments with --time",
        )
    step = max(1, math.floor(0.4 * fps / max(n - 1, 1)))
    frames = [deepest + (i - n // 2) * step for i in range(n)]
    return [
        Moment(f, f"{1000 * (f - deepest) / fps:+.0f} ms" if f != deepest else "closed")
        for f in frames
        if 0 <= f < len(opening)
    ]
