"""Decoded frames as the lossless kinds that clips are kept in."""

from __future__ import annotations

from fractions import Fraction

from av.video.frame import VideoFrame

from lipbench.core.errors import MediaError
from lipbench.media.chroma_location import chroma_location
from lipbench.media.pixels import Color, Form, Orientation, ToRgb, rgb_form, rgb_frame


class ToUniform:
    """Decoded frames of one video -> frames that `ToRgb` gives the same pixels of, upright.

    8-bit 4:2:0 of even size without rotation passes bit by bit with its own tags. Everything else (RGB, 4:4:4, 4:2:2,
    more bits, odd sizes, rotated) is kept as 8-bit RGB: nothing is lost that a reader sees. The transfer curve and the
    primaries of the source stay as tags, so that HDR is known as HDR later.

    Attributes:
        form: of the frames made, for the encoder.
        passes: frames pass as they are, nothing is converted.
    """

    def __init__(self, first: VideoFrame, turn: Orientation, sample_aspect: Fraction) -> None:
        self._turn = turn
        self._format = first.format.name
        width, height = turn.size(first.width, first.height)
        aspect = 1 / sample_aspect if turn.transpose else sample_aspect
        plain = is_plain(first, turn)
        found = chroma_location(first) if plain else None
        self.passes = found is not None
        if found is not None:
            self.form = Form(width, height, Color.of(first), found, aspect, first.format.name)
        else:
            self.form = rgb_form(width, height, Color.of(first), aspect)
        self._to_rgb = ToRgb()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """
        Raises:
            MediaError: the frame is not of the first one's pixel format.
        """
        if frame.format.name != self._format:
            raise MediaError(
                "cannot use a video whose pixel format changes on the way",
                f"it begins as {self._format} and goes on as {frame.format.name}",
                "re-encode it, or set start_s and end_s to one part",
            )
        return frame if self.passes else rgb_frame(self._turn.apply(self._to_rgb(frame)))


def is_plain(first: VideoFrame, turn: Orientation) -> bool:
    """8-bit 4:2:0 of even size that is shown as it is stored."""
    even = first.width % 2 == 0 and first.height % 2 == 0
    return first.format.name in ("yuv420p", "yuvj420p") and turn.identity and even
