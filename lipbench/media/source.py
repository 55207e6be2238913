"""Decoding a file's video frame by frame with exact times; the only place that demuxes video.

Time 0 is the moment the first frame is shown, whatever time stamp it carries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import av
import av.error
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipbench.core.errors import MediaError, NoVideo, TooShort, Truncated
from lipbench.media.complete import check_complete
from lipbench.media.opening import (
    THREADS,
    check_file,
    cut_off,
    fraction,
    need_decoder,
    open_input,
    reading,
    skip_others,
    video_stream,
)

#: Seconds to go back, one after another, when a seek lands behind the wanted frame (open GOPs, transport streams).
BACK_OFF = (0, 2, 10, 60)


@dataclass(frozen=True)
class TimedFrame:
    """A decoded frame and the seconds [start, end) in which it is shown."""

    frame: VideoFrame
    start: Fraction
    end: Fraction


class VideoSource:
    """A video file, open for decoding: `with VideoSource(path) as source: for shown in source.frames(): ...`.

    Reading from the beginning again reopens the container, so keep neither `container` nor `stream` across calls of
    `frames`, `packets` or `times`. One of these runs at a time.

    Raises:
        MediaError, NoVideo, Truncated: on entering.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_file(path)
        self._size: tuple[int, int] | None = None

    def __enter__(self) -> VideoSource:
        self._open()
        try:
            need_decoder(self.stream, self.path)
            _ = self.first
        except BaseException:
            self.container.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.container.close()

    def _open(self) -> None:
        self.container = open_input(self.path)
        stream = video_stream(self.container)
        if stream is None:
            self.container.close()
            raise NoVideo(f"cannot take frames from {self.path}", "it has no video stream", "give a video file")
        skip_others(self.container, stream)
        self.stream = stream
        if stream.codec_context is not None:
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = THREADS
        self._at_start = True
        self._last_dts: int | None = None
        self._cut = False

    @cached_property
    def first(self) -> VideoFrame:
        """The first frame: its time stamp is time 0, its side data carry the rotation."""
        self._at_start = False
        for frame in self._decode():
            return frame
        raise Truncated(
            f"cannot take frames from {self.path}",
            "its video stream holds no frame that can be decoded",
            "copy or download the file again",
        )

    @cached_property
    def zero(self) -> Fraction:
        """Time stamp of the first frame, seconds."""
        return _time(self.first) or Fraction(0)

    @cached_property
    def rate(self) -> Fraction:
        """The rate that the container states, for frames without a duration."""
        return fraction(self.stream.average_rate) or fraction(self.stream.guessed_rate) or Fraction(25)

    def frames(self, from_s: Fraction = Fraction(0)) -> Iterator[TimedFrame]:
        """Every frame from the one shown at `from_s` seconds on, in order, each with the time it is shown.

        Raises:
            TooShort: the video ends before `from_s`.
            Truncated: at the end, when the file holds fewer frames than it declares.
            MediaError: damaged data.
        """
        end = Fraction(0)
        for shown in self._timed(self._from(from_s)):
            end = shown.end
            if end > from_s:
                yield shown
        self.check_complete(end)
        if end <= from_s:
            raise TooShort(
                f"cannot start at {float(from_s):g} s of {self.path}",
                f"the video ends at {float(end):.3f} s",
                "choose an earlier start",
            )

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """All packets from the beginning, undecoded, in the order stored.

        Raises:
            Truncated: at the end, when the file holds fewer frames than it declares.
        """
        self._restart()
        with reading(self.path):
            for packet in self._demux():
                if packet.size:
                    yield packet
        self.check_complete(None)

    def times(self, until_s: Fraction | None = None) -> tuple[list[Fraction], Fraction]:
        """(time stamps of all frames shown, sorted; the end of the last), from the packets alone.

        Args:
            until_s: those up to this second (from the first frame) only.
        """
        self._restart()
        limit = None if until_s is None else self.zero + until_s
        times: list[Fraction] = []
        end = self.zero
        with reading(self.path):
            for packet in self._demux():
                if not packet.size or packet.is_discard:
                    continue
                base = fraction(packet.time_base) or Fraction(1)
                stamp = packet.pts if packet.pts is not None else packet.dts
                if stamp is None:
                    at = times[-1] + 1 / self.rate if times else self.zero
                else:
                    at = stamp * base
                if limit is not None and at > limit:
                    if at > limit + 1:  # frames are stored out of order, by far less than a second
                        break
                elif at >= self.zero:
                    times.append(at)
                    end = max(end, at + ((packet.duration or 0) * base or 1 / self.rate))
        return sorted(times), end

    def check_complete(self, end: Fraction | None) -> None:
        """At the end of the stream: did all come that the file declares? `end` is the end of the last frame, if known.

        Raises:
            Truncated: no.
        """
        check_complete(self.path, self.container, self.stream, self._last_dts, None if end is None else end + self.zero)
        if self._cut:
            raise cut_off(self.path, "its last frame is incomplete")

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        """Packets as they come. One that is marked corrupt and comes last is not passed on: the file ends within it."""
        held: Packet[VideoStream] | None = None
        for packet in self.container.demux(self.stream):
            if held is not None:
                if packet.size:
                    yield held
                else:
                    self._cut = True
                held = None
            if packet.size and packet.is_corrupt:
                held = packet
                continue
            if packet.size and packet.dts is not None:
                self._last_dts = packet.dts if self._last_dts is None else max(self._last_dts, packet.dts)
            yield packet

    def _decode(self) -> Iterator[VideoFrame]:
        """Frames in the order shown, from where the container stands to its end."""
        seen = False
        with reading(self.path):
            for packet in self._demux():
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError as error:
                    if seen:
                        raise self._damaged(packet) from error
                    continue  # recordings may begin, and seeks may land, between key frames
                for frame in frames:
                    if frame.is_corrupt:
                        if seen:
                            raise self._damaged(frame)
                        continue
                    seen = True
                    self._check_size(frame)
                    yield frame

    def _check_size(self, frame: VideoFrame) -> None:
        size = (frame.width, frame.height)
        if self._size is None:
            self._size = size
        elif size != self._size:
            raise MediaError(
                f"cannot use {self.path}",
                "its picture changes from {}x{} to {}x{} on the way".format(*self._size, *size),
                "re-encode it to one size, or set start_s and end_s to one part",
            )

    def _damaged(self, where: Packet[VideoStream] | VideoFrame) -> MediaError:
        base = fraction(where.time_base) or Fraction(1)
        at = "" if where.pts is None else f" at {float(where.pts * base - self.zero):.3f} s"
        return MediaError(
            f"cannot decode {self.path}",
            f"the data of the frame{at} are damaged",
            "copy or download the file again, or set end_s to a time before the damage",
        )

    def _timed(self, frames: Iterator[VideoFrame]) -> Iterator[TimedFrame]:
        """Each frame with its interval: it is shown until the next one starts, the last one for its own duration."""
        held: tuple[VideoFrame, Fraction] | None = None
        step = 1 / self.rate
        for frame in frames:
            stamp = _time(frame)
            if stamp is not None:
                start = stamp - self.zero
            else:
                start = held[1] + step if held else Fraction(0)
            if held:
                start = max(start, held[1])
                if start > held[1]:  # of two frames at one time the later stays
                    yield TimedFrame(held[0], held[1], start)
            held = frame, start
        if held:
            frame = held[0]
            base = fraction(frame.time_base)
            duration = frame.duration * base if frame.duration and base else step
            yield TimedFrame(frame, held[1], held[1] + duration)

    def _from(self, from_s: Fraction) -> Iterator[VideoFrame]:
        """Frames from `from_s` or some time before: found by seeking, or from the beginning where that fails."""
        base = fraction(self.stream.time_base) or Fraction(1)
        for back in BACK_OFF:
            target = from_s - back
            if target <= 0:
                break
            self._at_start = False
            try:
                self.container.seek(int((self.zero + target) / base), stream=self.stream, backward=True)
            except av.error.FFmpegError:
                break  # raw streams cannot seek
            frames = self._decode()
            frame = next(frames, None)
            stamp = None if frame is None else _time(frame)
            if frame is not None and stamp is not None and stamp - self.zero <= from_s:
                yield frame
                yield from frames
                return
        self._restart()
        yield from self._decode()

    def _restart(self) -> None:
        if not self._at_start:
            self.container.close()
            self._open()
        self._at_start = False


def _time(frame: VideoFrame) -> Fraction | None:
    """Presentation time stamp, seconds."""
    base = fraction(frame.time_base)
    return None if frame.pts is None or base is None else frame.pts * base
