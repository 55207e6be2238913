"""Where the color samples of 4:2:0 frames lie, found by experiment.

A decoded frame says whether its color samples sit at the left of, or between, the brightness samples; swscale heeds it
when it makes RGB, and PyAV does not show it. Copying planes into another stream keeps the RGB only if that stream says
the same. So a noise picture is put into a frame of the source, and into one-frame H.264 streams of each place in turn,
until both give the same RGB.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from lipbench.media.pixels import Color, ToRgb

#: The most common first; H.264 without a word on it means "left".
CHROMA_LOCATIONS = ("left", "center", "topleft", "top", "bottomleft", "bottom")


def chroma_location(frame: VideoFrame) -> str | None:
    """The name that `chroma_sample_location` has for the chroma location of an 8-bit 4:2:0 frame; None when none fits.

    The frame's picture is overwritten for a moment and put back.
    """
    rng = np.random.default_rng(0)
    noise = [rng.integers(16, 236, (plane.height, plane.width), dtype=np.uint8) for plane in frame.planes]
    frame.make_writable()
    saved = [_pixels(frame, i).copy() for i in range(3)]
    try:
        _fill(frame, noise)
        wanted = ToRgb()(frame)
    finally:
        _fill(frame, saved)
    plain = VideoFrame(frame.width, frame.height, frame.format.name)
    _fill(plain, noise)
    for name in CHROMA_LOCATIONS:
        if np.array_equal(ToRgb()(_through_h264(plain, Color.of(frame), name)), wanted):
            return name
    return None


def _pixels(frame: VideoFrame, i: int) -> np.ndarray:
    """(h, w) uint8 view of a plane."""
    plane = frame.planes[i]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def _fill(frame: VideoFrame, planes: list[np.ndarray]) -> None:
    for i, values in enumerate(planes):
        _pixels(frame, i)[:] = values


def _through_h264(frame: VideoFrame, color: Color, name: str) -> VideoFrame:
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
    encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
    encoder.colorspace, encoder.color_range = color.matrix, color.range
    encoder.options = {"qp": "0", "preset": "ultrafast", "chroma_sample_location": name}
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, VideoCodecContext)
    frames = [got for packet in [*encoder.encode(frame), *encoder.encode(None)] for got in decoder.decode(packet)]
    return [*frames, *decoder.decode(None)][0]
