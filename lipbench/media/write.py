"""RGB arrays as video files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType

import numpy as np

from lipbench.core.errors import MediaError, TooShort, UsageError
from lipbench.media.clock import as_rate
from lipbench.media.color import is_hdr
from lipbench.media.mux import Audio, Mp4
from lipbench.media.opening import fraction, open_input, tags
from lipbench.media.pixels import WRITTEN, Color, Form, ToYuv, orientation, rgb_form, rgb_frame
from lipbench.media.source import VideoSource
from lipbench.media.uniform import is_plain


class VideoWriter:
    """Writes (H, W, 3) uint8 RGB frames as H.264 mp4 with AAC sound; 4:2:0, or 4:4:4 where a side is odd.

        with VideoWriter("out.mp4", fps=25, width=512, height=512, audio=samples) as video:
            for frame in frames:
                video.write(frame)

    The file appears when the block ends well, and not at all after an exception. Equal frames give equal bytes.

    Args:
        fps: constant rate.
        width: px; players want even numbers (4:2:0 stores color at half the size).
        height: px; likewise.
        audio: (N,) int16 at `rate`, or any file with sound, or None.
        crf: x264 quality, preset fast; 12 is visually lossless. None means lossless.
        lossless: qp 0 instead; what is lost then is only RGB -> 8-bit 4:2:0 or 4:4:4.
        like: a video that the frames come from. A lossless copy of one that is not plain 8-bit 4:2:0 is written as RGB:
            nothing is lost; HDR stays tagged as HDR.
        synthetic: tag the file as made by lipbench; False only for videos whose lips are untouched.

    Raises:
        UsageError: empty size, bad fps or audio.
        MediaError: a frame of another shape or type.
        TooShort: no frame was written.
        DiskFull: there is no room for the result.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float | Fraction,
        width: int,
        height: int,
        audio: Audio = None,
        rate: int = 16000,
        crf: int | None = 12,
        lossless: bool = False,
        synthetic: bool = True,
        like: str | Path | None = None,
    ) -> None:
        if width <= 0 or height <= 0:
            raise UsageError(f"cannot write a video of {width}x{height}", "it has no pixels", "give frames of a size")
        self.path, self.width, self.height, self.fps = Path(path), width, height, as_rate(fps)
        self._audio, self._rate = audio, rate
        self._crf = None if lossless else crf
        self._form = _form(width, height, lossless or crf is None, None if like is None else Path(like))
        self._convert = rgb_frame if self._form.pix_fmt == "rgb24" else ToYuv(self._form.pix_fmt)
        self._mp4 = Mp4(path, synthetic=synthetic)
        self.n_frames = 0

    def __enter__(self) -> VideoWriter:
        self._mp4.__enter__()
        try:
            self._mp4.encode_video(self._form, self.fps, crf=self._crf)
            self._mp4.sound(self._audio, self._rate)
        except BaseException as error:
            self._mp4.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, frame: np.ndarray) -> None:
        """The next frame, (H, W, 3) uint8 RGB."""
        frame = np.asarray(frame)
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            raise MediaError(
                f"cannot write frame {self.n_frames} of {self.path}",
                f"it is {frame.dtype} of shape {frame.shape}, not uint8 of shape {(self.height, self.width, 3)}",
                "give RGB frames of one size",
            )
        self._mp4.write(self._convert(frame))
        self.n_frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.n_frames == 0:
            empty = TooShort(f"cannot write {self.path}", "no frame was given", "write at least one frame")
            self._mp4.__exit__(TooShort, empty, None)
            raise empty
        self._mp4.__exit__(kind, error, trace)


def _form(width: int, height: int, lossless: bool, like: Path | None) -> Form:
    """What `VideoWriter` writes its frames as."""
    color, plain = WRITTEN, True
    if like is not None:
        with VideoSource(like) as source:
            own, plain = Color.of(source.first), is_plain(source.first, orientation(source.first))
        if is_hdr(own):
            color = replace(WRITTEN, primaries=own.primaries, transfer=own.transfer)
    if lossless and not plain:
        return rgb_form(width, height, color)
    even = width % 2 == 0 and height % 2 == 0
    return Form(width, height, color, pix_fmt="yuv420p" if even else "yuv444p")


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    fps: float | Fraction,
    audio: Audio = None,
    *,
    rate: int = 16000,
    crf: int | None = 12,
    lossless: bool = False,
    synthetic: bool = True,
    like: str | Path | None = None,
) -> Path:
    """Write frames (an array (T, H, W, 3) or any iterable) with `VideoWriter`; the first frame gives the size."""
    stream = iter(frames)
    first = next(stream, None)
    if first is None:
        raise TooShort(f"cannot write {path}", "no frame was given", "write at least one frame")
    height, width = first.shape[:2]
    with VideoWriter(
        path,
        fps=fps,
        width=width,
        height=height,
        audio=audio,
        rate=rate,
        crf=crf,
        lossless=lossless,
        synthetic=synthetic,
        like=like,
    ) as video:
        for frame in chain([first], stream):
            video.write(frame)
    return Path(path)


def remux(video: str | Path, audio: Audio, dst: str | Path, *, rate: int = 16000, synthetic: bool = True) -> Path:
    """The video stream of `video`, packet by packet unchanged, with other sound (AAC); returns `dst`."""
    with VideoSource(video) as source, Mp4(dst, synthetic=synthetic) as out:
        out.copy_video(source.stream)
        out.sound(audio, rate)
        for packet in source.packets():
            base = fraction(packet.time_base)
            shift = round(source.zero / base) if base else 0
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            out.write_packet(packet)
    return Path(dst)


def is_synthetic(path: str | Path) -> bool:
    """Whether the file's tags say that lipbench made its lips."""
    with open_input(path) as container:
        told = {name.lower(): value for name, value in tags(container).items()}
    return told.get("synthetic", "").lower() == "true" or told.get("comment", "").startswith("synthetic:")
