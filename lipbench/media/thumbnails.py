"""Small gray pictures of a video's frames, to find out which frames of two videos belong together."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from lipbench.core.by_file import remembered
from lipbench.media.opening import check_file
from lipbench.media.pixels import orientation
from lipbench.media.source import VideoSource

#: Longer side, px: small enough to be cheap, large enough to see a head move by a pixel or two of the frame.
SIDE = 128
#: Frames looked at: a minute at 25 fps. What is wrong with the timing of a video is wrong from its start.
LIMIT = 1500

#: swscale's SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT.
_FLAGS = 0x20 | 0x40000 | 0x80000


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """The first frames of a video, small.

    Attributes:
        pictures: (T, h, w) uint8 gray, upright, at most `SIDE` px.
        starts: (T,) when each is shown, seconds after the first.
        end: when the last of them ends, seconds.
        interlaced: how many are marked as two fields.
        whole: there are no further frames.
    """

    pictures: NDArray[np.uint8]
    starts: tuple[Fraction, ...]
    end: Fraction
    interlaced: int
    whole: bool


def thumbnails(path: str | Path, limit: int = LIMIT) -> Thumbnails:
    """The frames of a video as they are, up to `limit` of them. Asking again for the same file costs nothing.

    Raises:
        MediaError, NoVideo, Truncated: as `read_frames`.
    """
    return _thumbnails(check_file(path), limit)


@remembered(kept=8)
def _thumbnails(path: Path, limit: int) -> Thumbnails:
    pictures: list[NDArray[np.uint8]] = []
    starts: list[Fraction] = []
    interlaced, end = 0, Fraction(0)
    scaler = VideoReformatter()
    whole = True
    with VideoSource(path) as source:
        turn = orientation(source.first)
        scale = min(1.0, SIDE / max(source.first.width, source.first.height))
        width, height = (max(1, round(n * scale)) for n in (source.first.width, source.first.height))
        for shown in source.frames():
            if len(pictures) == limit:
                whole = False
                break
            small = scaler.reformat(shown.frame, width, height, "gray", interpolation=_FLAGS, threads=1)
            pictures.append(turn.apply(small.to_ndarray()))
            starts.append(shown.start)
            end = shown.end
            interlaced += bool(shown.frame.interlaced_frame)
    return Thumbnails(np.stack(pictures), tuple(starts), end, interlaced, whole)
