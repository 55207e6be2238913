"""Small color pictures of a film's frames, a block at a time: enough to see where one shot ends and another begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from lipbench.core.ticks import ticking
from lipbench.media.source import TimedFrame, VideoSource

WIDTH, HEIGHT = 64, 36
#: Frames handed out at a time, and how many before and after them come along to look at.
BLOCK, MARGIN = 512, 56
#: Luma steps that are noise beside the deviation of a picture.
FLOOR = 2.0
#: Chroma steps that count as another color in a picture whose mean luma is LIGHT above BLACK; in less light fewer do.
CHROMA, LIGHT, BLACK, DARK = 12.0, 94.0, 16.0, 6.0

#: swscale's SWS_AREA | SWS_ACCURATE_RND | SWS_BITEXACT.
_FLAGS = 0x20 | 0x40000 | 0x80000
Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class PictureBlock:
    """A part of a film, with what comes before and after it.

    Attributes:
        raw: (N, 3, 36, 64) float32, Y U V of each frame, 0..255.
        first: number of the first frame in `raw`.
        core: [first, end) numbers of the frames that this block is about; the others are in its neighbors as well.
    """

    raw: Float32
    first: int
    core: tuple[int, int]


@dataclass
class FrameTimes:
    """When each frame of a film is shown: filled while its pictures are read.

    Attributes:
        starts: seconds after the first frame.
        end: of the last frame.
    """

    starts: list[float]
    end: float = 0.0


def picture_blocks(path: str | Path, times: FrameTimes) -> Iterator[PictureBlock]:
    """The pictures of a film; never more than two blocks in memory.

    Args:
        path: a video file.
        times: filled with the times of the frames.

    Raises:
        MediaError, NoVideo, Truncated: as `media.read_frames`.
    """
    scaler = VideoReformatter()

    def small(shown: TimedFrame) -> NDArray[np.uint8]:
        out = scaler.reformat(shown.frame, WIDTH, HEIGHT, "yuv444p", interpolation=_FLAGS, threads=1)
        return np.asarray(out.to_ndarray(), np.uint8)

    held: list[NDArray[np.uint8]] = []
    first = begin = 0
    with VideoSource(path) as source:
        for shown in ticking(source.frames()):
            times.starts.append(float(shown.start))
            times.end = float(shown.end)
            held.append(small(shown))
            if first + len(held) == begin + BLOCK + MARGIN:
                yield PictureBlock(np.stack(held).astype(np.float32), first, (begin, begin + BLOCK))
                begin += BLOCK
                held = held[begin - MARGIN - first :]
                first = begin - MARGIN
    if first + len(held) > begin:
        yield PictureBlock(np.stack(held).astype(np.float32), first, (begin, first + len(held)))


def looks(raw: Float32) -> Float32:
    """What two pictures are compared by: their light taken out, blurred against small motion.

    Args:
        raw: (N, 3, H, W) Y U V, 0..255.

    Returns:
        (N, 3, H, W): luma less its mean, over its deviation; chroma in steps that count as another color.
    """
    luma = raw[:, 0]
    mean, deviation = luma.mean((1, 2), keepdims=True), luma.std((1, 2), keepdims=True)
    step = CHROMA * (np.maximum(mean - BLACK, 0) + DARK) / (LIGHT + DARK)  # half the light halves luma and chroma alike
    steps = (raw[:, 1:] - 128) / step[:, None]
    # One step beside gray is as much as doubling a strong color: what is left of the light must not count there.
    chroma = np.sign(steps) * np.log2(1 + np.abs(steps))
    out = np.concatenate([((luma - mean) / (deviation + FLOOR))[:, None], chroma], 1)
    for picture in out.reshape(-1, *raw.shape[2:]):
        cv2.GaussianBlur(picture, (5, 5), 0, dst=picture)
    return np.asarray(out, np.float32)


def distances(a: Float32, b: Float32) -> Float32:
    """(N, 3, H, W) twice -> (N,) how much of each picture is another one, 0..1, whatever the light is."""
    change = np.abs(a - b)
    return np.asarray(np.minimum(np.maximum(change[:, 0], change[:, 1] + change[:, 2]), 1).mean((1, 2)), np.float32)
