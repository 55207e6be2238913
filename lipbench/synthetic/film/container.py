"""A film file: a picture and several sound tracks with their languages, in Matroska."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from lipbench.media.opening import open_output
from lipbench.synthetic.film.bed import RATE

_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
_BLOCK = 1024


@dataclass(frozen=True)
class FilmSound:
    """A sound track of a film: its language (ISO 639-2, "fre") and (C, N) int16 samples at 16 kHz."""

    language: str
    samples: NDArray[np.int16]
    codec: str = "aac"


def write_film(path: Path, frames: Iterable[NDArray[np.uint8]] | None, fps: Fraction, sounds: list[FilmSound]) -> Path:
    """Write a .mkv (or .mka without frames); the first sound is the default one.

    Args:
        path: of the file.
        frames: (H, W, 3) uint8 RGB, of even size; None for sound alone.
        fps: frames a second.
        sounds: the tracks.

    Raises:
        OSError, av.error.FFmpegError: it cannot be written.
    """
    container = open_output(path, "matroska", {})
    with container:
        picture = (
            container.add_stream("libx264", rate=fps, options={"crf": "23", "preset": "ultrafast"}) if frames else None
        )
        streams: list[tuple[AudioStream, FilmSound]] = []
        for k, sound in enumerate(sounds):
            stream = container.add_stream(sound.codec, rate=RATE, layout=_LAYOUTS[len(sound.samples)])
            assert isinstance(stream, AudioStream)
            stream.metadata["language"] = sound.language
            stream.disposition = stream.disposition.default if k == 0 else type(stream.disposition)(0)
            streams.append((stream, sound))
        at = [0] * len(streams)

        def sound_until(seconds: float | None) -> None:
            for k, (stream, sound) in enumerate(streams):
                n = sound.samples.shape[1]
                last = n if seconds is None else min(int(seconds * RATE), n)
                while at[k] < last:
                    block = sound.samples[:, at[k] : at[k] + _BLOCK]
                    frame = AudioFrame.from_ndarray(_planar(block), format="fltp", layout=_LAYOUTS[len(block)])
                    frame.sample_rate, frame.pts, frame.time_base = RATE, at[k], Fraction(1, RATE)
                    container.mux(stream.encode(frame))
                    at[k] += block.shape[1]

        if picture is not None and frames is not None:
            assert isinstance(picture, VideoStream)
            picture.pix_fmt = "yuv420p"
            for n, rgb in enumerate(frames):
                if n == 0:
                    picture.height, picture.width = rgb.shape[:2]
                frame = VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = n, 1 / fps
                container.mux(picture.encode(frame))
                sound_until(float(n / fps))
            container.mux(picture.encode(None))
        sound_until(None)
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


def _planar(block: NDArray[np.int16]) -> NDArray[np.float32]:
    return np.ascontiguousarray(block.astype(np.float32) / 32768)
