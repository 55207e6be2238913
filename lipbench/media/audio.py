"""Decoding a file's sound block by block, on the clock of its video; the only place that demuxes sound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av.error
import numpy as np
import soxr
from av.audio.frame import AudioFrame
from av.container import InputContainer

from lipbench.core.errors import MediaError, NoAudio, NoVideo, UsageError
from lipbench.media.clock import check_range
from lipbench.media.complete import check_complete
from lipbench.media.downmix import Downmix, channel_names, planes
from lipbench.media.image_series import series
from lipbench.media.opening import check_file, fraction, need_decoder, open_input, reading, skip_others, video_stream
from lipbench.media.source import VideoSource
from lipbench.media.streams import SoundChoice, choose, sound_of
from lipbench.media.wav import check_wav, to_int16

#: A start further in than this many seconds is found by seeking.
FAR = 5

#: Seconds to go back from a wanted start, one after another; what is decoded before the start settles the decoder.
BACK_OFF = (1, 5, 30)
SETTLE = Fraction(1, 2)

#: A jump of the time stamps beyond this is a hole (filled with silence) or an overlap (cut); below it is rounding.
GAP = Fraction(1, 20)

Placed = tuple[int, np.ndarray, Downmix | None]


class AudioSource:
    """A file open for its sound, to be read once: `with AudioSource(path) as source: source.chunks(16000)`.

    Attributes:
        rate: of the file.
        channels: of the file.
        codec: of the file.
        names: FFmpeg's names of its channels; () where they are of no known meaning.
        lead: seconds from the first video frame to the first sample.
        choice: the stream, by its number, and the channel.
        remarks: what the user should know about them.

    Raises:
        MediaError, NoAudio, Truncated: on entering.
    """

    def __init__(self, path: str | Path, choice: SoundChoice | None = None) -> None:
        file, self.choice = sound_of(path, choice)
        if series(file) is not None:
            raise NoAudio(f"cannot take sound from {file}", "it is a series of pictures", "give a file with sound")
        self.path = check_file(file)
        self.remarks: tuple[str, ...] = ()

    def __enter__(self) -> AudioSource:
        try:
            self.remarks = self._open()
            context = self.stream.codec_context
            # HE-AAC states half its rate until the first frame is decoded.
            self.rate = self._head.sample_rate if self._head else context.sample_rate
            self.channels = self._head.layout.nb_channels if self._head else context.channels
            self.codec = context.name
            self.names = channel_names(self._head)[0] if self._head else ()
            head = _time(self._head)
            zero = _video_zero(self.path, self.container)
            self._zero = zero if zero is not None else head or Fraction(0)
            self.lead = Fraction(0) if head is None else head - self._zero
            self._mixers: dict[str, Downmix] = {}
            if self._head is not None:
                self.remarks += self._mixer(self._head).remarks
        except BaseException:
            if hasattr(self, "container"):
                self.container.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.container.close()

    def _open(self) -> tuple[str, ...]:
        """Open the file, or open it again, and decode its first frame; what there is to say about it."""
        self.container: InputContainer = open_input(self.path)
        chosen = choose(self.path, self.container, self.choice)
        self.stream = chosen.stream
        self.choice = replace(self.choice, stream=chosen.number)
        need_decoder(self.stream, self.path)
        skip_others(self.container, self.stream)
        self._formats = set(self.container.format.name.split(","))
        said = check_wav(self.path) if "wav" in self._formats else ()
        self._later = self._frames()
        self._head = next(self._later, None)
        return (*chosen.remarks, *said)

    @property
    def cancels(self) -> str | None:
        """The channel to take alone, where what was read so far cancels in the mix; None where it does not."""
        if self.choice.channel is not None or self._head is None:
            return None
        return self._mixer(self._head).instead

    def chunks(
        self, rate: int, start_s: float = 0.0, end_s: float | None = None, speed: float = 1.0
    ) -> Iterator[np.ndarray]:
        """Blocks of int16 mono at `rate` that make up [start_s, end_s), silence before a late start included."""
        if rate <= 0:
            raise UsageError(f"{rate} is not a sample rate", "it must be above zero", "use 16000")
        if not 0.1 <= speed <= 10:
            raise UsageError(f"{speed} is not a speed", "it must lie in 0.1 to 10", "use 1 for sound as it is")
        start, end = check_range(start_s, end_s)
        if self._head is None:
            return
        first = round(start * self.rate)
        last = None if end is None else round(end * self.rate)
        cut = _cut(self._placed(start), first, last)
        pieces = (block[0] if mix is None else mix(block) for block, mix in cut)
        if rate == self.rate and speed == 1:
            for piece in pieces:
                yield to_int16(piece)
            return
        resampler = soxr.ResampleStream(self.rate / speed if speed != 1 else self.rate, rate, 1, "float32", "HQ")
        for piece in pieces:
            out = resampler.resample_chunk(to_float(piece))
            if len(out):
                yield to_int16(out)
        tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
        if len(tail):
            yield to_int16(tail)

    def blocks(self, start_s: float = 0.0, end_s: float | None = None) -> Iterator[tuple[np.ndarray, tuple[str, ...]]]:
        """(C, N) blocks at the file's rate that make up [start_s, end_s), and FFmpeg's names of their channels.

        Samples are int16 for one 16-bit channel, else float in [-1, 1). Silence that fills a hole has one channel and
        no names.
        """
        start, end = check_range(start_s, end_s)
        if self._head is None:
            return
        last = None if end is None else round(end * self.rate)
        for block, mix in _cut(self._placed(start), round(start * self.rate), last):
            yield block, () if mix is None else mix.names

    def _placed(self, start: Fraction) -> Iterator[Placed]:
        """(sample number on the video's clock, block, its mix): decoded frames with holes and overlaps mended."""
        at: int | None = None
        for frame in self._from(start):
            if frame.sample_rate != self.rate:
                raise MediaError(
                    f"cannot read the sound of {self.path}",
                    f"its rate changes from {self.rate} to {frame.sample_rate} Hz on the way",
                    "convert it to wav",
                )
            block = planes(frame)
            place = self._place(frame)
            if at is None:
                at = place or 0
            elif place is not None and place - at > GAP * self.rate:
                yield at, np.zeros((1, place - at), np.int16), None
                at = place
            elif place is not None and at - place > GAP * self.rate:
                block = block[:, at - place :]
            yield at, block, self._mixer(frame)
            at += block.shape[1]

    def _place(self, frame: AudioFrame) -> int | None:
        """Number of a frame's first sample on the video's clock; None without a time stamp.

        Time stamps coarser than a sample (Matroska's are whole milliseconds) say which frame it is; where it lies
        follows from the first one, for frames are of one length and follow each other.
        """
        stamp, head = _time(frame), _time(self._head)
        if stamp is None:
            return None
        place = round((stamp - self._zero) * self.rate)
        tick = (fraction(frame.time_base) or Fraction(1)) * self.rate
        if tick <= 1 or head is None or self._head is None or frame.samples == 0:
            return place
        after = round((head - self._zero) * self.rate) + self._head.samples
        even = after + round(Fraction(place - after, frame.samples)) * frame.samples
        return even if abs(even - place) <= tick + 1 and place >= after else place

    def _mixer(self, frame: AudioFrame) -> Downmix:
        """Broadcasts go from one layout to another on the way."""
        name = f"{frame.layout.name} {frame.layout.nb_channels}"
        if name not in self._mixers:
            self._mixers[name] = Downmix(frame, self.choice.channel, self.path)
        return self._mixers[name]

    def _from(self, start: Fraction) -> Iterator[AudioFrame]:
        """Decoded frames from some time before `start`: found by seeking, or from the first where that fails."""
        head = _time(self._head)
        if start > FAR and head is not None:
            for back in BACK_OFF:
                if self._zero + start - back <= head:
                    break
                found = self._sought(self._zero + start - back, self._zero + start - SETTLE)
                if found is not None:
                    yield from found
                    return
            self.container.close()
            self._open()
        if self._head is not None:
            yield self._head
        yield from self._later

    def _sought(self, target: Fraction, latest: Fraction) -> Iterator[AudioFrame] | None:
        """Frames from about `target` on, seconds of the container; None when the first lies beyond `latest`."""
        # Matroska's index is that of the picture; by any other stream it is searched from the beginning.
        picture = video_stream(self.container) if "matroska" in self._formats else None
        stream = picture or self.stream
        base = fraction(stream.time_base) or Fraction(1)
        try:
            self.container.seek(int(target / base), stream=stream, backward=True)
        except av.error.FFmpegError:
            return None  # raw streams cannot seek
        frames = self._frames()
        first = next(frames, None)
        stamp = _time(first)
        return chain([first], frames) if first is not None and stamp is not None and stamp <= latest else None

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


def _cut(pieces: Iterator[Placed], first: int, last: int | None) -> Iterator[tuple[np.ndarray, Downmix | None]]:
    """Samples first..last of placed blocks, each with its mix; what precedes the first block is silence."""
    at = first
    for place, block, mix in pieces:
        if last is not None and place >= last:
            break
        if place > at:
            yield np.zeros((1, place - at), np.int16), None
            at = place
        block = block[:, max(at - place, 0) : None if last is None else last - place]
        if block.shape[1]:
            yield block, mix
            at += block.shape[1]


def to_float(block: np.ndarray) -> np.ndarray:
    return block.astype(np.float32) / 32768 if block.dtype == np.int16 else block
