"""The lossy codecs that frames go through on the published routes, before the sync model sees them.

    cropped     JPEG at 200 kb/s: what `ffmpeg -i V -f image2 %06d.jpg` writes (`SyncNetInstance.evaluate`)
    realvideo   whole frames: MPEG-4 part 2 and JPEG, both with quantizer 2 (`run_pipeline.py`, its `-qscale:v 2`);
                crops: MPEG-4 part 2 as OpenCV writes XVID, then the JPEG of "cropped"

The rate control of that JPEG spends 8 kb on a frame: within sixteen frames its quantizer rises from 4 to 25. Frames
go into the first codec as they were decoded, as ffmpeg hands them over, and come out of a JPEG as OpenCV reads them.

Source:
    joonson/syncnet_python `run_pipeline.py` and `SyncNetInstance.py`; FFmpeg's defaults for an encoder without options;
    OpenCV's writer (a bit for a pixel, no quantizer below 3, an intra frame every twelve).
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, VideoReformatter
from numpy.typing import NDArray

from lipbench.core.errors import MediaError
from lipbench.media.image_series import open_video
from lipbench.media.pixels import ToRgb, orientation, rgb_frame
from lipbench.media.read import pick
from lipbench.metrics.sync.protocol import FPS

#: Bits a second of an encoder that is told nothing.
DEFAULT_RATE = 200_000
#: The quantizer of `-qscale:v 2`.
FINE = 2
#: Edge of the face crops that `run_pipeline.py` writes, px.
CROP_SIZE = 224
#: swscale's SWS_BICUBIC, which ffmpeg and OpenCV convert with.
_BICUBIC = 0x4


class Generation:
    """One encoder: frames in, packets out, in order.

    Args:
        codec: FFmpeg's name.
        pix_fmt: of what it encodes; frames are converted.
        options: FFmpeg's, of the encoder.
    """

    def __init__(self, codec: str, pix_fmt: str, options: dict[str, str]) -> None:
        self._codec, self._pix_fmt, self._options = codec, pix_fmt, options
        self._scaler = VideoReformatter()
        self._encoder: VideoCodecContext | None = None
        self._n = 0

    def push(self, frame: VideoFrame) -> list[Packet]:
        """Encode the next frame.

        Raises:
            MediaError: this build of FFmpeg has no such encoder.
        """
        full = ColorRange.JPEG if self._pix_fmt.startswith("yuvj") else ColorRange.MPEG
        given = self._scaler.reformat(
            frame, format=self._pix_fmt, dst_color_range=full, interpolation=_BICUBIC, threads=1
        )
        if self._encoder is None:
            self._encoder = self._open(given)
        given.pts, given.time_base = self._n, Fraction(1, FPS)
        given.pict_type = 0  # ffmpeg leaves the choice to the encoder
        self._n += 1
        return list(self._encoder.encode(given))

    def flush(self) -> list[Packet]:
        """What is left."""
        return [] if self._encoder is None else list(self._encoder.encode(None))

    def _open(self, frame: VideoFrame) -> VideoCodecContext:
        try:
            encoder: Any = av.CodecContext.create(self._codec, "w")
        except av.error.FFmpegError as error:
            raise MediaError(
                f"codec: published needs the encoder {self._codec}", "this FFmpeg has none", "install PyAV from PyPI"
            ) from error
        encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, self._pix_fmt
        encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
        encoder.thread_count = 1  # slices of threads would share the bits out in another way
        encoder.options = self._options
        return encoder


def jpeg(fine: bool = False) -> Generation:
    """Frames as JPEG files, at the default rate or `-qscale:v 2`."""
    return Generation("mjpeg", "yuvj420p", _quantizer() if fine else {"b": str(DEFAULT_RATE)})


def _quantizer() -> dict[str, str]:
    return {"qmin": str(FINE), "qmax": str(FINE), "b": "100M"}


class Mpeg4:
    """MPEG-4 part 2, encoded and decoded again.

    Args:
        options: of the encoder.
    """

    def __init__(self, options: dict[str, str]) -> None:
        self._encoder = Generation("mpeg4", "yuv420p", options)
        self._decoder: Any = av.CodecContext.create("mpeg4", "r")

    def push(self, frame: VideoFrame) -> list[VideoFrame]:
        """The frames that can be shown once this one is there."""
        return self._decoded(self._encoder.push(frame))

    def flush(self) -> list[VideoFrame]:
        """What is left."""
        return [*self._decoded(self._encoder.flush()), *self._decoder.decode(None)]

    def _decoded(self, packets: list[Packet]) -> list[VideoFrame]:
        # The encoder's own packets: a decoder reads past the end, where a packet made of bytes has no padding.
        return [frame for packet in packets for frame in self._decoder.decode(packet)]


def rgb(file: Packet) -> NDArray[np.uint8]:
    """A JPEG as OpenCV reads it, (H, W, 3) RGB."""
    bgr: Any = cv2.imdecode(np.frombuffer(bytes(file), np.uint8), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(bgr[..., ::-1])


def read_published(video: Path, protocol: str) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video at 25 fps as the published route of a protocol has them on disk, (H, W, 3) uint8 RGB.

    Raises:
        MediaError, NoVideo, Truncated: as `media.read_frames`.
    """
    first = Mpeg4(_quantizer()) if protocol == "realvideo" else None
    second = jpeg(fine=protocol == "realvideo")
    for frame in _decoded(video):
        for shown in [frame] if first is None else first.push(frame):
            yield from map(rgb, second.push(shown))
    for shown in [] if first is None else first.flush():
        yield from map(rgb, second.push(shown))
    yield from map(rgb, second.flush())


def _decoded(video: Path) -> Iterator[VideoFrame]:
    """Frames at 25 fps in the file's own format, upright."""
    with open_video(video, FPS) as source:
        turn, to_rgb = orientation(source.first), ToRgb()
        for shown in pick(source, FPS, 0.0, None):
            yield shown.frame if turn.identity else rgb_frame(turn.apply(to_rgb(shown.frame)))


class CropRoute:
    """What a face crop goes through: XVID as OpenCV writes it, then JPEG. RGB in, RGB out, a few frames later."""

    def __init__(self) -> None:
        self._first = Mpeg4({"b": str(FPS * CROP_SIZE**2), "g": "12", "qmin": "3"})
        self._second = jpeg()

    def push(self, crop: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
        """The crops that can be shown once this one, `CROP_SIZE` px square, is there."""
        # In OpenCV's order: swscale converts BGR by another path than RGB, half a gray level apart.
        bgr = VideoFrame.from_ndarray(np.ascontiguousarray(crop[..., ::-1]), format="bgr24")
        return self._shown(self._first.push(bgr))

    def flush(self) -> list[NDArray[np.uint8]]:
        """What is left."""
        return [*self._shown(self._first.flush()), *map(rgb, self._second.flush())]

    def _shown(self, frames: list[VideoFrame]) -> list[NDArray[np.uint8]]:
        return [rgb(file) for frame in frames for file in self._second.push(frame)]
