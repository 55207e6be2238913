"""What the sound goes through on the published routes, before the sync model hears it.

    cropped     FFmpeg's resampler to 16 kHz mono (`SyncNetInstance.evaluate`)
    realvideo   MP3, which an AVI file has where nothing is asked for (`run_pipeline.py`), then the same
    latentsync  AAC, which an MP4 file has, then the same; the sound of a crop is AAC again (LatentSync's
                `syncnet_detect.py`)

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
from lipbench.media.own_rate import Block, own_rate
from lipbench.metrics.sync.protocol import FPS, RATE

#: Samples that LAME puts in front, and that FFmpeg's AAC does; MP4 says so, and readers cut them off.
PADDING, AAC_PADDING = 1105, 1024
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


def read_published_sound(sound: Path | NDArray[np.int16], route: str) -> PublishedSound:
    """The sound of a file on a route of those above.

    Args:
        sound: a file, at the rate and with the channels that the route would meet; or (N,) int16 at 16 kHz.

    Raises:
        MediaError, NoAudio: as `media.read_audio`; this build of FFmpeg has not the encoder.
    """
    frames = _own(sound)
    late = 0
    if route == "latentsync":
        frames = aac(frames)
    if route == "realvideo":
        coder = Mp3()
        frames = coder.through(frames)
        frames, late = iter(list(frames)), coder.late
    return PublishedSound(resampled(frames), late)


def heard_of_a_crop(samples: NDArray[np.int16], route: str) -> NDArray[np.int16]:
    """The sound of a face's crop, (N,) int16 at 16 kHz, as it is in the file that the network's evaluation reads."""
    return resampled(aac(_own(samples))) if route == "latentsync" else samples


def aac(frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    """FFmpeg's AAC as it makes it for MP4 when it is told nothing, encoded and decoded again.

    Raises:
        MediaError: this build of FFmpeg has no AAC encoder.
    """
    encoder, packets, n = None, list[Packet](), 0
    for frame in frames:
        if encoder is None:
            encoder = _encoder("aac", frame.sample_rate, frame.layout.name)
        n += frame.samples
        packets += encoder.encode(frame)
    if encoder is None:
        return
    packets += encoder.encode(None)
    decoder: Any = av.CodecContext.create("aac", "r")
    decoder.extradata = encoder.extradata
    decoder.flags2 |= _SKIP_MANUAL
    parts = [part.to_ndarray() for packet in packets for part in decoder.decode(_bare(packet))]
    whole = np.concatenate(parts + [part.to_ndarray() for part in decoder.decode(None)], axis=1)
    yield _frame(whole[:, AAC_PADDING : AAC_PADDING + n], encoder.sample_rate, encoder.layout.name, 0)


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
            yield from self._decoder.decode(_bare(packet))
        yield from self._decoder.decode(None)

    def _encoded(self, frames: Iterator[AudioFrame]) -> Iterator[Packet]:
        resampler = None
        for frame in frames:
            if self._encoder is None:
                rate = min(MP3_RATES, key=lambda rate: abs(rate - frame.sample_rate))
                self._encoder = _encoder("libmp3lame", rate, "mono" if frame.layout.nb_channels == 1 else "stereo")
                resampler = av.AudioResampler("fltp", self._encoder.layout, self._encoder.sample_rate)
            assert resampler is not None
            for part in resampler.resample(frame):
                yield from self._encoder.encode(part)
        if self._encoder is not None and resampler is not None:
            for part in resampler.resample(None):
                yield from self._encoder.encode(part)
            yield from self._encoder.encode(None)


def _encoder(name: str, rate: int, layout: str) -> AudioCodecContext:
    try:
        encoder: AudioCodecContext = av.CodecContext.create(name, "w")  # type: ignore[assignment]
    except av.error.FFmpegError as error:
        raise MediaError(
            f"the published codecs need the encoder {name}", "this FFmpeg has none", "install PyAV from PyPI"
        ) from error
    encoder.sample_rate, encoder.layout, encoder.format = rate, layout, "fltp"
    encoder.time_base = Fraction(1, rate)
    return encoder


def _bare(packet: Packet) -> Packet:
    """A packet without what a file does not keep."""
    copy = Packet(packet.size)
    copy.update(bytes(packet))
    return copy


def _own(sound: Path | NDArray[np.int16]) -> Iterator[AudioFrame]:
    """The sound as FFmpeg's frames, as it is."""
    at = 0
    for block, rate, layout in own_rate(sound) if isinstance(sound, Path) else [_block(sound)]:
        if block.shape[1]:
            yield _frame(block, rate, layout, at)
        at += block.shape[1]


def _block(samples: NDArray[np.int16]) -> Block:
    return samples[None].astype(np.float32) / np.float32(32768), RATE, "mono"


def _frame(block: NDArray[np.float32], rate: int, layout: str, at: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), format="fltp", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
    return frame
