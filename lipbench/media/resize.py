"""Lossless copies of a video's picture: at another size, or of frames by their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.media.clock import as_rate
from lipbench.media.image_series import open_video
from lipbench.media.mux import Mp4
from lipbench.media.pixels import Color, rgb_form, rgb_frame
from lipbench.media.probe import facts
from lipbench.media.read import read_frames


def scaled(frames: Iterable[NDArray[np.uint8]], size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """(H, W, 3) frames at `size` = (width, height): area mean to a smaller width, bicubic to a larger one."""
    for frame in frames:
        if frame.shape[1::-1] == size:
            yield frame
        else:
            way = cv2.INTER_AREA if frame.shape[1] > size[0] else cv2.INTER_CUBIC
            yield np.asarray(cv2.resize(frame, size, interpolation=way), np.uint8)


def resize_video(src: str | Path, dst: str | Path, size: tuple[int, int], fps: float | Fraction) -> tuple[int, int]:
    """A copy of a video's picture at `size` = (width, height), lossless but for the scaling; returns the size it had.

    Args:
        src: file, folder of pictures or pattern.
        dst: the mp4 to make; without sound.
        size: px.
        fps: rate to bring a variable-rate file to; others keep their own.

    Raises:
        MediaError, NoVideo, Truncated, DiskFull: as `normalize_clip`.
    """
    with open_video(src, fps) as source:
        info, color = facts(source), Color.of(source.first)
    rate = as_rate(fps) if info.vfr else info.fps
    frames = read_frames(src, fps=rate if info.vfr else None, picture_fps=fps)
    _write(dst, scaled(frames, size), size, color, rate)
    return info.width, info.height


def copy_by_number(src: str | Path, dst: str | Path, fps: float | Fraction, n: int) -> None:
    """The first frames of a video as OpenCV gives them, one after the other at a rate, whatever their time stamps say.

    Args:
        src: file, folder of pictures or pattern.
        dst: the mp4 to make, lossless RGB without sound.
        fps: its rate.
        n: how many frames.

    Raises:
        MediaError, NoVideo, Truncated, DiskFull: as `normalize_clip`.
    """
    with open_video(src, fps) as source:
        info, color = facts(source), Color.of(source.first)
    frames = read_frames(src, picture_fps=fps, decoder="opencv")
    _write(dst, islice(frames, n), (info.width, info.height), color, as_rate(fps))


def _write(
    dst: str | Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], color: Color, rate: Fraction
) -> None:
    with Mp4(dst, synthetic=False) as out:
        out.encode_video(rgb_form(*size, color), rate, crf=None)
        for frame in frames:
            out.write(rgb_frame(frame))
