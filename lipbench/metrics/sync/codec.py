"""The lossy codecs that frames go through on the published routes, before the sync model sees them.

    cropped     JPEG at 200 kb/s: what `ffmpeg -i V -f image2 %06d.jpg` writes (`SyncNetInstance.evaluate`)
    realvideo   whole frames: MPEG-4 part 2 and JPEG, both with quantizer 2 (`run_pipeline.py`, its `-qscale:v 2`);
                crops: MPEG-4 part 2 as OpenCV writes XVID, then the JPEG of "cropped"
    latentsync  the same, whole frames with H.264 as x264 codes it by default in place of MPEG-4 (LatentSync's
                `syncnet_detect.py`, whose MP4 file heeds no -qscale:v)

The rate control of that JPEG spends 8 kb on a frame: within sixteen frames its quantizer rises from 4 to 25. Frames
go into the first codec as they were decoded, as ffmpeg hands them over, and come out of a JPEG as OpenCV reads them.
JPEG has the full range, 0..255, videos have 16..235: ffmpeg up to 7.1 converts with coefficients that are rounded down,
up to a gray level lower than later ones. Papers were made with the former, so they are used here.

Source:
    joonson/syncnet_python `run_pipeline.py` and `SyncNetInstance.py`; FFmpeg's defaults for an encoder without options,
    its `libswscale/swscale.c` up to 7.1 (lumRangeToJpeg, chrRangeToJpeg);
    OpenCV's writer (a bit for a pixel, no quantizer below 3, an intra frame every twelve).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any, TypeVar

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
from lipbench.media.opening import fraction
from lipbench.media.pixels import BICUBIC, ToRgb, orientation, rgb_frame
from lipbench.media.read import pick
from lipbench.media.source import VideoSource
from lipbench.metrics.sync.protocol import FPS

#: Bits a second of an encoder that is told nothing.
DEFAULT_RATE = 200_000
#: The quantizer of `-qscale:v 2`.
FINE = 2
#: Edge of the face crops that `run_pipeline.py` writes, px.
CROP_SIZE = 224


Picture = TypeVar("Picture")


class Generation:
    """One encoder: frames in, packets out, in order.

    Args:
        codec: FFmpeg's name.
        pix_fmt: of what it encodes; frames are converted.
        options: FFmpeg's, of the encoder.
        aspect: of a pixel, where the file states it.
    """

    def __init__(self, codec: str, pix_fmt: str, options: dict[str, str], aspect: Fraction | None = None) -> None:
        self._codec, self._pix_fmt, self._options, self._aspect = codec, pix_fmt, options, aspect
        self._scaler = VideoReformatter()
        self._encoder: VideoCodecContext | None = None
        self._n = 0

    def push(self, frame: VideoFrame) -> list[Packet]:
        """Encode the next frame.

        Raises:
            MediaError: this build of FFmpeg has no such encoder.
        """
        given = self._converted(frame)
        if self._encoder is None:
            self._encoder = self._open(given)
        given.pts, given.time_base = self._n, Fraction(1, FPS)
        given.pict_type = 0  # ffmpeg leaves the choice to the encoder
        self._n += 1
        return list(self._encoder.encode(given))

    def _converted(self, frame: VideoFrame) -> VideoFrame:
        wide = self._pix_fmt.startswith("yuvj")
        narrow = wide and not (frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG)
        pix_fmt = "yuv420p" if narrow else self._pix_fmt
        full = ColorRange.JPEG if wide and not narrow else ColorRange.MPEG
        given = self._scaler.reformat(frame, format=pix_fmt, dst_color_range=full, interpolation=BICUBIC, threads=1)
        return widened(given) if narrow else given

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
        if self._aspect is not None:
            encoder.sample_aspect_ratio = self._aspect
        encoder.thread_count = 1  # slices of threads would share the bits out in another way
        encoder.options = self._options
        return encoder


def full_range() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Of every value of the limited range the value of the full one, (256,) of luma and (256,) of chroma."""
    value = np.arange(256) << 7
    luma = (np.minimum(value, 30189) * 19077 - 39057361) >> 14
    chroma = (np.minimum(value, 30775) * 4663 - 9289992) >> 12
    found = [((scaled + 64) >> 7).clip(0, 255).astype(np.uint8) for scaled in (luma, chroma)]
    return found[0], found[1]


def widened(frame: VideoFrame) -> VideoFrame:
    """A yuv420p frame of limited range as one of full range, yuvj420p."""
    made = VideoFrame(frame.width, frame.height, "yuvj420p")
    luma, chroma = full_range()
    for table, old, new in zip((luma, chroma, chroma), frame.planes, made.planes, strict=True):
        rows = np.frombuffer(memoryview(old), np.uint8).reshape(-1, old.line_size)[: old.height, : old.width]
        kept = np.zeros((new.height, new.line_size), np.uint8)
        kept[:, : old.width] = table[rows]
        new.update(kept.tobytes())
    made.color_range = ColorRange.JPEG
    return made


def jpeg(fine: bool = False, aspect: Fraction | None = None) -> Generation:
    """Frames as JPEG files, at the default rate or `-qscale:v 2`.

    A file that states the aspect of its pixels gets a JFIF header, whose 18 bytes the rate control counts.
    """
    return Generation("mjpeg", "yuvj420p", _quantizer() if fine else {"b": str(DEFAULT_RATE)}, aspect)


def _quantizer() -> dict[str, str]:
    # PyAV cannot give a frame its quality, so the rate control is left no choice, of Lagrange's multiplier neither.
    scale, multiplier = str(FINE), str(FINE * 118)  # FF_QP2LAMBDA
    return {"qmin": scale, "qmax": scale, "lmin": multiplier, "lmax": multiplier}


class Recoded:
    """A codec with 4:2:0 pictures, encoded and decoded again.

    Args:
        encoder: FFmpeg's name.
        decoder: FFmpeg's name.
        options: of the encoder.
    """

    def __init__(self, encoder: str, decoder: str, options: dict[str, str]) -> None:
        self._encoder = Generation(encoder, "yuv420p", options)
        self._decoder: Any = av.CodecContext.create(decoder, "r")
        self._decoder.thread_count = 1

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


#: Of the routes that code whole frames twice, the first codec.
FIRST: dict[str, Callable[[], Recoded]] = {
    "realvideo": lambda: Recoded("mpeg4", "mpeg4", _quantizer()),
    "latentsync": lambda: Recoded("libx264", "h264", {}),
}


def read_published(video: Path, route: str) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video at 25 fps as a route of those above has them on disk, (H, W, 3) uint8 RGB.

    Raises:
        MediaError, NoVideo, Truncated: as `media.read_frames`.
    """
    first = FIRST[route]() if route in FIRST else None
    with open_video(video, FPS) as source:
        second = jpeg(fine=first is not None, aspect=fraction(source.stream.sample_aspect_ratio))
        for frame in _decoded(source):
            for shown in [frame] if first is None else first.push(frame):
                yield from map(rgb, second.push(shown))
    for shown in [] if first is None else first.flush():
        yield from map(rgb, second.push(shown))
    yield from map(rgb, second.flush())


def _decoded(source: VideoSource) -> Iterator[VideoFrame]:
    """Frames at 25 fps in the file's own format, upright."""
    turn, to_rgb = orientation(source.first), ToRgb()
    for shown in pick(source, FPS, 0.0, None):
        yield shown.frame if turn.identity else rgb_frame(turn.apply(to_rgb(shown.frame)))


def on_disk(frames: Iterable[Picture], late: int) -> Iterator[Picture]:
    """What ffmpeg writes as files of an AVI whose pictures are `late` frames late: the first two are repeated.

    AVI leaves `late` frames out after the first one; ffmpeg fills the first half of the hole with the picture before
    it and the second with the one behind it. The published route goes on with as many files as there were frames.
    """
    for n, frame in enumerate(frames):
        yield from repeat(frame, 1 if not late else late if n == 0 else 2 if n == 1 else 1)


class CropRoute:
    """What a face crop goes through: XVID as OpenCV writes it, then JPEG. RGB in, RGB out, a few frames later."""

    def __init__(self) -> None:
        self._first = Recoded("mpeg4", "mpeg4", {"b": str(FPS * CROP_SIZE**2), "g": "12", "qmin": "3"})
        self._second = jpeg(aspect=Fraction(1))  # an MPEG-4 stream states it

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
