"""One conversion between decoded frames and RGB arrays, orientation, and even sizes.

Colour: swscale with accurate rounding, bilinear chroma and bit-exact code paths, so that every machine gets the same
bytes. The matrix (BT.601, BT.709, BT.2020) and the range come from the stream's tags; an untagged stream counts as
BT.601 limited range, as in ffmpeg and OpenCV. Results differ by about one grey level from OpenCV's, whose faster
conversion rounds down. No tone mapping: HDR transfer curves stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from lipbench.core.errors import MediaError

FLAGS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.BITEXACT

#: ITU-T H.273 numbers.
BT709, UNSPECIFIED, SMPTE170M, RGB_MATRIX = 1, 2, 6, 0

Array = TypeVar("Array", bound=np.ndarray)


@dataclass(frozen=True)
class Colour:
    """ITU-T H.273 tags: matrix, primaries, transfer; and the range (0 untagged, 1 limited, 2 full)."""

    matrix: int
    primaries: int
    transfer: int
    range: int

    @classmethod
    def of(cls, frame: VideoFrame) -> Colour:
        if frame.format.is_rgb:
            return WRITTEN
        full = frame.format.name.startswith("yuvj")
        return cls(
            int(frame.colorspace),
            int(frame.color_primaries),
            int(frame.color_trc),
            2 if full else int(frame.color_range),
        )


#: What `to_yuv` makes: BT.601 limited range, which readers that ignore tags assume as well; BT.709 primaries and curve.
WRITTEN = Colour(SMPTE170M, BT709, BT709, 1)


@dataclass(frozen=True)
class Orientation:
    """What the display matrix asks for: transpose first, then flip."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @property
    def degrees(self) -> int:
        """Clockwise turn of the stored picture: 0, 90, 180 or 270 (a mirrored picture: the turn after mirroring)."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    @property
    def mirrored(self) -> bool:
        return self.flip_x ^ self.flip_y ^ self.transpose

    @property
    def identity(self) -> bool:
        return self == Orientation()

    def apply(self, picture: np.ndarray) -> np.ndarray:
        """(H, W, ...) -> the picture upright, contiguous."""
        if self.transpose:
            picture = picture.swapaxes(0, 1)
        if self.flip_x:
            picture = picture[:, ::-1]
        if self.flip_y:
            picture = picture[::-1]
        return np.ascontiguousarray(picture)

    def size(self, width: int, height: int) -> tuple[int, int]:
        return (height, width) if self.transpose else (width, height)


def orientation(frame: VideoFrame) -> Orientation:
    """From a frame's display matrix (3x3, row vectors, 16.16 fixed point: x' = a x + c y, y' = b x + d y).

    Raises:
        MediaError: a turn that is not a multiple of 90 degrees.
    """
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return Orientation()
    a, b, _, c, d = (float(v) for v in np.frombuffer(bytes(data), "<i4")[:5])
    large, small = sorted((abs(a) + abs(d), abs(b) + abs(c)), reverse=True)
    if large == 0:
        return Orientation()
    if small > 0.02 * large:
        raise MediaError(
            "cannot turn the picture upright",
            "its display matrix is not a multiple of 90 degrees",
            "re-encode the clip with the turn applied",
        )
    if abs(a) + abs(d) > abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)


class ToRgb:
    """Decoded frame -> (H, W, 3) uint8 RGB as stored (not yet oriented). Keeps the scaler between frames."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        return self._scaler.reformat(frame, format="rgb24", interpolation=FLAGS, threads=1).to_ndarray()


class ToYuv:
    """(H, W, 3) uint8 RGB, H and W even -> yuv420p frame in the colour `WRITTEN`."""

    def __init__(self) -> None:
        self._scaler = VideoReformatter()

    def __call__(self, rgb: np.ndarray) -> VideoFrame:
        return self._scaler.reformat(
            VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=FLAGS,
            threads=1,
        )


class ToUniform:
    """Decoded frames of one video -> 8-bit 4:2:0 frames, upright and even-sized, in the source's own matrix and range.

    8-bit 4:2:0 without rotation passes untouched. Rotation moves the planes, so it costs nothing either; an odd size
    repeats the last column or row of the (upright) picture.

    Attributes:
        width, height: even.
        pad: (columns, rows) added at the right and the bottom.
        colour: tags for the encoder. full_range: whether the frames are yuvj420p.
        exact: planes pass bit by bit.
    """

    def __init__(self, first: VideoFrame, turn: Orientation) -> None:
        self._turn = turn
        self.colour = Colour.of(first)
        self.full_range = self.colour.range == 2
        width, height = turn.size(first.width, first.height)
        self.pad = (width % 2, height % 2)
        self.width, self.height = width + self.pad[0], height + self.pad[1]
        self.exact = first.format.name in ("yuv420p", "yuvj420p") and turn.identity
        self._even = turn.identity or (first.width % 2 == 0 and first.height % 2 == 0)
        self._source_size = (first.width, first.height)
        self._scaler = VideoReformatter()
        self._to_rgb, self._to_yuv = ToRgb(), ToYuv()
        if not self._even:  # chroma of an odd picture does not survive a flip: go through RGB
            self.colour, self.full_range = WRITTEN, False

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        if not self._even:
            rgb = self._turn.apply(self._to_rgb(frame))
            return self._to_yuv(np.pad(rgb, ((0, self.pad[1]), (0, self.pad[0]), (0, 0)), mode="edge"))
        name = "yuvj420p" if self.full_range else "yuv420p"
        if frame.format.name not in ("yuv420p", "yuvj420p"):
            frame = self._convert(frame, name)
        if self._turn.identity and self.pad == (0, 0):
            return frame
        out = VideoFrame(self.width, self.height, name)
        for i, plane in enumerate(frame.planes):
            data = self._turn.apply(_plane(plane))
            target = out.planes[i]
            view = np.frombuffer(memoryview(target), np.uint8).reshape(target.height, target.line_size)[
                :, : target.width
            ]
            extra = ((0, target.height - data.shape[0]), (0, target.width - data.shape[1]))
            view[:] = np.pad(data, extra, mode="edge")
        return out

    def _convert(self, frame: VideoFrame, name: str) -> VideoFrame:
        if frame.format.is_rgb:
            return self._scaler.reformat(
                frame, format=name, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG,
                interpolation=FLAGS, threads=1,
            )  # fmt: skip
        limits = ColorRange.JPEG if self.full_range else ColorRange.MPEG
        return self._scaler.reformat(
            frame, format=name, src_color_range=limits, dst_color_range=limits, interpolation=FLAGS, threads=1
        )


def _plane(plane: VideoPlane) -> np.ndarray:
    """(h, w) uint8 view of a plane."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
