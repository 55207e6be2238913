"""What the sound goes through on the published routes, before the sync model hears it.

    cropped     FFmpeg's resampler to 16 kHz mono (`SyncNetInstance.evaluate`)
    realvideo   MP3, which an AVI file has where nothing is asked for (`run_pipeline.py`), then the same

The MP3 encoder, LAME at the rate that it chooses itself, starts 1105 samples early, and AVI cannot say so. So ffmpeg
moves the whole file to time 0: the sound is that much late, and the pictures by the next whole number of frames, which
AVI writes as frames left out after the first one and ffmpeg fills with copies when it writes them as files
(`codec.on_disk`). At 16 kHz the sound is 69 ms late and the picture 80 ms, at 44.1 kHz 25 ms and 40 ms.

Source:
    joonson/syncnet_python `run_pipeline.py` and `SyncNetInstance.py`; FFmpeg `libavformat/mux.c` (timestamps below
    zero), `avienc.c` (frames left out), ffmpeg 5.1 as it was seen to write them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.packet import Packet
from numpy.typing import NDArray

from lipbench.core.errors import MediaError
from lipbench.media.own_rate import own_rate
from lipbench.metrics.sync.protocol import FPS, RATE

#: Samples that LAME puts in front.
PADDING = 1105
#: Rates that MP3 has, Hz.
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_SKIP_MANUAL = 1 << 29  # AV_CODEC_FLAG2_SKIP_MANUAL: nothing is cut off what is decoded


@dataclass(frozen=True)
class PublishedSound:
    """Sound as a published route has it.

    Attributes:
        samples: (N,) int16 at 16 kHz.
        late: frames by which the route's files show the pictures later, see `codec.on_disk`.
    """

    samples: NDArray[np.int16]
    late: int = 0


def read_published_sound(sound: Path | NDArray[np.int16], protocol: str) -> PublishedSound:
    """The sound of a file on the published route of a protocol.

    Args:
        sound: a file, at the rate and with the channels that the route would meet; or (N,) int16 at 16 kHz.

    Raises:
        MediaError, NoAudio: as `media.read_audio`; this build of FFmpeg has no MP3.
    """
    frames = _own(sound)
    late = 0
    if protocol == "realvideo":
        coder = Mp3()
        frames = coder.through(frames)
        frames, late = iter(list(frames)), coder.late
    return PublishedSound(resampled(frames), late)


def resampled(frames: Iterator[AudioFrame]) -> NDArray[np.int16]:
    """(N,) int16 at 16 kHz, channels mixed to one, by FFmpeg's resampler."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    if parts:
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


class Mp3:
    """MP3 as ffmpeg makes it for AVI when it is told nothing, encoded and decoded again."""

    def __init__(self) -> None:
        self._encoder: AudioCodecContext | None = None
        self._decoder: Any = av.CodecContext.create("mp3float", "r")
        self._decoder.flags2 |= _SKIP_MANUAL

    @property
    def late(self) -> int:
        """Frames by which the pictures move."""
        rate = RATE if self._encoder is None else self._encoder.sample_rate
        return ceil(Fraction(PADDING, rate) * FPS)

    def through(self, frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
        """The frames that come out.

        Raises:
            MediaError: this build of FFmpeg has no MP3 encoder.
        """
        for packet in self._encoded(frames):
            copy = Packet(packet.size)  # without what an AVI file does not keep
            copy.update(bytes(packet))
            yield from self._decoder.decode(copy)
        yield from self._decoder.decode(None)

    def _encoded(self, frames: Iterator[AudioFrame]) -> Iterator[Packet]:
        resampler = None
        for frame in frames:
            if self._encoder is None:
                self._encoder = _encoder(frame)
                resampler = av.AudioResampler("fltp", self._encoder.layout, self._encoder.sample_rate)
            assert resampler is not None
            for part in resampler.resample(frame):
                yield from self._encoder.encode(part)
        if self._encoder is not None and resampler is not None:
            for part in resampler.resample(None):
                yield from self._encoder.encode(part)
            yield from self._encoder.encode(None)


def _encoder(first: AudioFrame) -> AudioCodecContext:
    try:
        encoder: AudioCodecContext = av.CodecContext.create("libmp3lame", "w")
    except av.error.FFmpegError as error:
        raise MediaError(
            "codec: published needs the encoder libmp3lame", "this FFmpeg has none", "install PyAV from PyPI"
        ) from error
    encoder.sample_rate = min(MP3_RATES, key=lambda rate: abs(rate - first.sample_rate))
    encoder.layout = "mono" if first.layout.nb_channels == 1 else "stereo"
    encoder.format = "fltp"
    encoder.time_base = Fraction(1, encoder.sample_rate)
    return encoder


def _own(sound: Path | NDArray[np.int16]) -> Iterator[AudioFrame]:
    """The sound as FFmpeg's frames, as it is."""
    given = [(sound[None] / np.float32(32768), RATE, "mono")] if isinstance(sound, np.ndarray) else own_rate(sound)
    at = 0
    for block, rate, layout in given:
        if block.shape[1] == 0:
            continue
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
        at += frame.samples
        yield frame
