"""One conversion between decoded frames and RGB arrays, orientation, and the forms that files are written in.

Color: swscale with accurate rounding, bilinear chroma and bit-exact code paths, so that every machine gets the same
bytes. The matrix (BT.601, BT.709, BT.2020) and the range come from the stream's tags; an untagged stream counts as
BT.601 limited range, as in ffmpeg and OpenCV. Results differ by about one gray level from OpenCV's, whose faster
conversion rounds down. No tone mapping: HDR transfer curves stay as they are, and are refused against SDR where two
videos are compared (`media.color`).

Decoder "opencv": the bytes that OpenCV 4 gives, which most evaluation scripts measure: swscale's fast code with bicubic
chroma, and BT.601 for every file (OpenCV 5 heeds the tags).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, TypeVar

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

from lipbench.core.errors import MediaError

#: swscale's SWS_BILINEAR | SWS_FULL_CHR_H_INT | SWS_ACCURATE_RND | SWS_BITEXACT, which PyAV names from version 18 on.
FLAGS = 0x2 | 0x2000 | 0x40000 | 0x80000

#: swscale's SWS_BICUBIC, which ffmpeg and OpenCV convert with.
BICUBIC = 0x4
#: Whose colors decoded frames have.
Decoder = Literal["exact", "opencv"]

#: ITU-T H.273 numbers.
BT709, UNSPECIFIED, SMPTE170M, RGB_MATRIX = 1, 2, 6, 0

Array = TypeVar("Array", bound=np.ndarray)


@dataclass(frozen=True)
class Color:
    """ITU-T H.273 tags: matrix, primaries, transfer; and the range (0 untagged, 1 limited, 2 full)."""

    matrix: int
    primaries: int
    transfer: int
    range: int

    @classmethod
    def of(cls, frame: VideoFrame) -> Color:
        if frame.format.is_rgb:
            return cls(RGB_MATRIX, int(frame.color_primaries), int(frame.color_trc), 2)
        full = frame.format.name.startswith("yuvj")
        return cls(
            int(frame.colorspace),
            int(frame.color_primaries),
            int(frame.color_trc),
            2 if full else int(frame.color_range),
        )


#: What `ToYuv` makes: BT.601 limited range, which readers that ignore tags assume too; BT.709 primaries and curve.
WRITTEN = Color(SMPTE170M, BT709, BT709, 1)


@dataclass(frozen=True)
class Form:
    """What an encoder must know of 8-bit frames.

    Attributes:
        width: even for 4:2:0.
        height: even for 4:2:0.
        color: tags.
        chroma_location: where the color samples lie (`chroma_sample_location`); "center" is what `ToYuv` makes.
        sample_aspect: width of a pixel over its height.
        pix_fmt: yuv420p, yuvj420p, yuv444p or rgb24.
    """

    width: int
    height: int
    color: Color = WRITTEN
    chroma_location: str = "center"
    sample_aspect: Fraction = Fraction(1)
    pix_fmt: str = "yuv420p"


def rgb_form(width: int, height: int, color: Color, sample_aspect: Fraction = Fraction(1)) -> Form:
    """RGB of any size; of `color` the primaries and the transfer curve are kept."""
    return Form(width, height, replace(color, matrix=RGB_MATRIX, range=2), "center", sample_aspect, "rgb24")


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

    def __init__(self, decoder: Decoder = "exact") -> None:
        self._scaler, self._opencv = VideoReformatter(), decoder == "opencv"

    def __call__(self, frame: VideoFrame) -> np.ndarray:
        if self._opencv:  # BGR: swscale converts it by another path than RGB
            matrix = {"src_colorspace": Colorspace.ITU601, "dst_colorspace": Colorspace.ITU601}
            bgr = self._scaler.reformat(frame, format="bgr24", interpolation=BICUBIC, threads=1, **matrix)
            return bgr.to_ndarray()[..., ::-1]
        return self._scaler.reformat(frame, format="rgb24", interpolation=FLAGS, threads=1).to_ndarray()


class ToYuv:
    """(H, W, 3) uint8 RGB -> yuv420p frame (H and W even) or yuv444p frame in the color `WRITTEN`."""

    def __init__(self, pix_fmt: str = "yuv420p") -> None:
        self._scaler = VideoReformatter()
        self._pix_fmt = pix_fmt

    def __call__(self, rgb: np.ndarray) -> VideoFrame:
        return self._scaler.reformat(
            rgb_frame(rgb),
            format=self._pix_fmt,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=FLAGS,
            threads=1,
        )


def rgb_frame(rgb: np.ndarray) -> VideoFrame:
    """(H, W, 3) uint8 RGB as a frame."""
    return VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
