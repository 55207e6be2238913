"""Video files as RGB arrays."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import numpy as np

from lipbench.core.errors import TooShort
from lipbench.media.clock import TOLERANCE, as_rate, check_range, slot
from lipbench.media.held import hold
from lipbench.media.image_series import open_video
from lipbench.media.pixels import Decoder, ToRgb, orientation
from lipbench.media.source import TimedFrame, VideoSource


def pick(
    source: VideoSource, fps: float | Fraction | None, start_s: float, end_s: float | None
) -> Iterator[TimedFrame]:
    """The frames of [start_s, end_s): as they are (fps None) or on a constant-rate grid that starts at start_s.

    On the grid the same `TimedFrame` object comes again where a frame is repeated. The rule is in `media.clock`.
    """
    start, end = check_range(start_s, end_s)
    if fps is None:
        for shown in source.frames(max(start - TOLERANCE, Fraction(0))):
            if end is not None and shown.start >= end - TOLERANCE:
                return
            if shown.start >= start - TOLERANCE:
                yield shown
        return
    rate = as_rate(fps)
    limit = None if end is None else max(slot(end - start, rate), 1)
    n = 0
    held: TimedFrame | None = None
    for shown in source.frames(start):
        at = slot(shown.start - start, rate)
        while held is not None and n < at and n != limit:
            yield held
            n += 1
        if n == limit:
            return
        held = shown
    if held is None:
        raise TooShort(f"{source.path} has no frame after {start_s} s", "", "choose an earlier start")
    total = max(slot(held.end - start, rate), 1)
    while n < total and n != limit:
        yield held
        n += 1


def read_frames(
    path: str | Path,
    *,
    fps: float | Fraction | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    picture_fps: float | Fraction | None = None,
    decoder: Decoder = "exact",
) -> Iterator[np.ndarray]:
    """Frames of a video, one at a time: (H, W, 3) uint8 RGB, rotation applied.

    Args:
        path: a video file, a folder of numbered pictures or a pattern of them (`media.image_series`).
        fps: None for the frames as they are; otherwise constant-rate frames picked by time stamp (`media.clock`).
        start_s: seconds from the first frame; frames that start at or after it are read.
        end_s: seconds from the first frame; frames that start before it are read.
        picture_fps: rate of a series of pictures; `fps` when left out.
        decoder: "opencv" gives the bytes that OpenCV gives (`media.pixels`).

    Raises:
        MediaError, NoVideo: at once for a missing or empty file, else at the first frame.
        TooShort: the video ends before start_s.
        Truncated: after the last decodable frame, when the file declares more.
    """
    check_range(start_s, end_s)
    return _read(open_video(path, picture_fps or fps, decoder), fps, start_s, end_s, decoder)


def _read(
    video: VideoSource, fps: float | Fraction | None, start_s: float, end_s: float | None, decoder: Decoder
) -> Iterator[np.ndarray]:
    with video as source:
        turn = orientation(source.first)
        to_rgb = ToRgb(decoder)
        for shown in pick(source, fps, start_s, end_s):
            yield turn.apply(to_rgb(shown.frame))


def load_frames(
    path: str | Path,
    *,
    fps: float | Fraction | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    picture_fps: float | Fraction | None = None,
) -> np.ndarray:
    """All frames as one array, (T, H, W, 3) uint8 RGB; arguments and errors as `read_frames`.

    Long clips lie in a file, not in memory, see `held.hold`.
    """
    frames = read_frames(path, fps=fps, start_s=start_s, end_s=end_s, picture_fps=picture_fps)
    first = next(frames, None)
    if first is None:
        end = "its end" if end_s is None else f"{end_s:g} s"
        raise TooShort(f"no frame of {path} starts in {start_s:g} s to {end}", "", "widen the range")
    return hold(chain([first], frames))
