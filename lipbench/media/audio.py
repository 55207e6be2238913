"""The sound of any container as 16-bit mono at a wanted rate, on the clock of its video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.container import InputContainer

from lipbench.core.errors import MediaError, NoAudio, NoVideo, TooShort, UsageError
from lipbench.media.clock import check_range
from lipbench.media.complete import check_complete
from lipbench.media.opening import check_file, fraction, need_decoder, open_input, reading, skip_others, video_stream
from lipbench.media.source import VideoSource
from lipbench.media.wav import check_wav, to_int16

#: A start further in than this many seconds is found by seeking.
FAR = 5

#: A jump of the time stamps beyond this is a hole (filled with silence) or an overlap (cut); below it is rounding.
GAP = Fraction(1, 20)

_SCALE = {"u8": 128.0, "s16": 32768.0, "s32": 2147483648.0, "s64": 9223372036854775808.0}


@dataclass(frozen=True)
class AudioTrack:
    """Sound on the clock of the video it came with.

    Attributes:
        samples: (N,) int16 mono; sample 0 is the moment the first frame is shown (plus start_s).
        rate: samples per second.
        lead_s: when the file's sound starts on that clock: > 0, silence was put before it; < 0, it was cut.
        source_rate: of the file.
        source_channels: of the file.
        codec: of the file.
    """

    samples: np.ndarray
    rate: int
    lead_s: float
    source_rate: int
    source_channels: int
    codec: str


def read_audio(path: str | Path, rate: int = 16000, *, start_s: float = 0.0, end_s: float | None = None) -> np.ndarray:
    """Sound of any container as (N,) int16 mono; arguments and errors as `load_audio`."""
    return load_audio(path, rate, start_s=start_s, end_s=end_s).samples


def load_audio(path: str | Path, rate: int = 16000, *, start_s: float = 0.0, end_s: float | None = None) -> AudioTrack:
    """Sound of any container: channels averaged, soxr HQ resampling, rounded and clipped to 16 bits.

    Sample 0 is the moment the first video frame is shown (plus start_s); a file without video starts with its first
    sample. 16-bit mono at `rate` comes through bit by bit.

    Raises:
        MediaError: missing, unreadable or damaged; NoAudio: no audio stream; TooShort: nothing left in the range.
    """
    with AudioSource(path) as source:
        parts = list(source.chunks(rate, start_s, end_s))
        samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        if len(samples) == 0:
            raise TooShort(
                f"{path} has no sound in {start_s} s to {'its end' if end_s is None else f'{end_s} s'}",
                "",
                "choose another range",
            )
        return AudioTrack(samples, rate, float(source.lead), source.rate, source.channels, source.codec)


class AudioSource:
    """A file open for its sound, to be read once: `with AudioSource(path) as source: source.chunks(16000)`.

    Attributes:
        rate: of the file.
        channels: of the file.
        codec: of the file.
        lead: seconds from the first video frame to the first sample.

    Raises:
        MediaError, NoAudio, Truncated: on entering.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_file(path)

    def __enter__(self) -> AudioSource:
        self.container: InputContainer = open_input(self.path)
        try:
            if not self.container.streams.audio:
                raise NoAudio(f"cannot take sound from {self.path}", "it has no audio stream", "give a file with sound")
            self.stream = self.container.streams.audio[0]
            need_decoder(self.stream, self.path)
            skip_others(self.container, self.stream)
            self._formats = set(self.container.format.name.split(","))
            if "wav" in self._formats:
                check_wav(self.path)
            self._later = self._frames()
            self._head = next(self._later, None)
            context = self.stream.codec_context
            # HE-AAC states half its rate until the first frame is decoded.
            self.rate = self._head.sample_rate if self._head else context.sample_rate
            self.channels = self._head.layout.nb_channels if self._head else context.channels
            self.codec = context.name
            head = _time(self._head)
            zero = _video_zero(self.path, self.container)
            self._zero = zero if zero is not None else head or Fraction(0)
            self.lead = Fraction(0) if head is None else head - self._zero
        except BaseException:
            self.container.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.container.close()

    def chunks(self, rate: int, start_s: float = 0.0, end_s: float | None = None) -> Iterator[np.ndarray]:
        """Blocks of int16 mono at `rate` that make up [start_s, end_s), silence before a late start included."""
        if rate <= 0:
            raise UsageError(f"{rate} is not a sample rate", "it must be above zero", "use 16000")
        start, end = check_range(start_s, end_s)
        if self._head is None:
            return
        first = round(start * self.rate)
        last = None if end is None else round(end * self.rate)
        pieces = _cut(self._placed(start), first, last)
        if rate == self.rate:
            for piece in pieces:
                yield to_int16(piece)
            return
        resampler = soxr.ResampleStream(self.rate, rate, 1, dtype="float32", quality="HQ")
        for piece in pieces:
            out = resampler.resample_chunk(to_float(piece))
            if len(out):
                yield to_int16(out)
        tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(tail):
            yield to_int16(tail)

    def _placed(self, start: Fraction) -> Iterator[tuple[int, np.ndarray]]:
        """(sample number on the video's clock, mono block): decoded frames with holes and overlaps mended."""
        at: int | None = None
        for frame in self._from(start):
            if frame.sample_rate != self.rate:
                raise MediaError(
                    f"cannot read the sound of {self.path}",
                    f"its rate changes from {self.rate} to {frame.sample_rate} Hz on the way",
                    "convert it to wav",
                )
            block = mono(frame)
            stamp = _time(frame)
            place = None if stamp is None else round((stamp - self._zero) * self.rate)
            if at is None:
                at = place or 0
            elif place is not None and place - at > GAP * self.rate:
                yield at, np.zeros(place - at, np.int16)
                at = place
            elif place is not None and at - place > GAP * self.rate:
                block = block[at - place :]
            yield at, block
            at += len(block)

    def _from(self, start: Fraction) -> Iterator[AudioFrame]:
        """Decoded frames from the first, or from a second before `start` where seeking keeps time to the sample."""
        base = fraction(self.stream.time_base) or Fraction(1)
        if start > FAR and "mp4" in self._formats and base == Fraction(1, self.rate):
            with reading(self.path):
                self.container.seek(int((self._zero + start - 1) / base), stream=self.stream, backward=True)
            yield from self._frames()
            return
        if self._head is not None:
            yield self._head
        yield from self._later

    def _frames(self) -> Iterator[AudioFrame]:
        """Decoded frames; junk before the first and after the last good packet (mp3 tags) is passed over."""
        seen, last = False, None
        bad: av.error.InvalidDataError | None = None
        with reading(self.path):
            for packet in self.container.demux(self.stream):
                if packet.size and packet.is_corrupt and "mp4" in self._formats:
                    continue  # cut off in the middle; the index tells
                last = packet.dts if packet.dts is not None else last
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError as error:
                    bad = error
                    continue
                if frames and seen and bad:
                    break
                for frame in frames:
                    seen, bad = True, None
                    yield frame
            else:
                bad = bad if not seen else None
        if bad is not None:
            raise MediaError(
                f"cannot decode the sound of {self.path}", "its data are damaged", "copy or download the file again"
            ) from bad
        check_complete(self.path, self.container, self.stream, last)


def _time(frame: AudioFrame | None) -> Fraction | None:
    """Presentation time stamp, seconds."""
    return None if frame is None or frame.pts is None else frame.pts * (fraction(frame.time_base) or Fraction(1))


def _video_zero(path: Path, container: InputContainer) -> Fraction | None:
    """Time stamp of the first video frame, or None for a file without video."""
    if video_stream(container) is None:
        return None
    try:
        with VideoSource(path) as source:
            first = source.first
            return Fraction(0) if first.pts is None else first.pts * (fraction(first.time_base) or Fraction(1))
    except (NoVideo, MediaError):
        return None


def _cut(pieces: Iterator[tuple[int, np.ndarray]], first: int, last: int | None) -> Iterator[np.ndarray]:
    """Samples first..last of placed blocks; what precedes the first block is silence."""
    at = first
    for place, block in pieces:
        if last is not None and place >= last:
            break
        if place > at:
            yield np.zeros(place - at, np.int16)
            at = place
        block = block[max(at - place, 0) : None if last is None else last - place]
        if len(block):
            yield block
            at += len(block)


def mono(frame: AudioFrame) -> np.ndarray:
    """(N,) mean of the channels: int16 for one 16-bit channel (untouched), float32 in [-1, 1) otherwise."""
    name = frame.format.name
    data = frame.to_ndarray()
    if frame.format.is_planar:
        planes = data
    else:
        planes = data.reshape(-1, frame.layout.nb_channels).T
    if len(planes) == 1 and planes.dtype == np.int16:
        return planes[0].copy()
    wide = planes.astype(np.float64)
    scale = _SCALE.get(name.removesuffix("p"), 1.0)
    if name.startswith("u8"):
        wide -= 128
    return (wide.mean(axis=0) / scale).astype(np.float32)


def to_float(block: np.ndarray) -> np.ndarray:
    return block.astype(np.float32) / 32768 if block.dtype == np.int16 else block
