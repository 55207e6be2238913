"""Decoded frames as the uniform kind that clips are kept in."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from lipbench.core.errors import MediaError
from lipbench.media.chroma_location import chroma_location
from lipbench.media.picture import Color, Form, Orientation, ToRgb, ToYuv


class ToYuv420p:
    """Decoded frames of one video -> 8-bit 4:2:0 frames, upright and even-sized.

    8-bit 4:2:0 of even size without rotation passes bit by bit with its own tags. Everything else goes through RGB, so
    that what is read later is what `ToRgb` gives now, up to rounding; an odd size repeats the last column or row.

    Attributes:
        form: of the frames made, for the encoder.
        pad: (columns, rows) added at the right and the bottom.
        exact: frames pass bit by bit.
    """

    def __init__(self, first: VideoFrame, turn: Orientation, sample_aspect: Fraction) -> None:
        self._turn = turn
        self._format = first.format.name
        width, height = turn.size(first.width, first.height)
        self.pad = (width % 2, height % 2)
        width, height = width + self.pad[0], height + self.pad[1]
        aspect = 1 / sample_aspect if turn.transpose else sample_aspect
        plain = first.format.name in ("yuv420p", "yuvj420p") and turn.identity and self.pad == (0, 0)
        found = chroma_location(first) if plain else None
        self.exact = found is not None
        if found is not None:
            self.form = Form(width, height, Color.of(first), found, aspect, first.format.name)
        else:
            self.form = Form(width, height, sample_aspect=aspect)
        self._to_rgb, self._to_yuv = ToRgb(), ToYuv()

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
        if self.exact:
            return frame
        rgb = self._turn.apply(self._to_rgb(frame))
        return self._to_yuv(np.pad(rgb, ((0, self.pad[1]), (0, self.pad[0]), (0, 0)), mode="edge"))
