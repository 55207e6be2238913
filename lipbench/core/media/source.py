"""Opening a file and decoding its video frame by frame, with exact times; the only place that demuxes video.

Time 0 is the moment the first frame is shown, whatever time stamp it carries.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipbench.core.errors import LipbenchError, MediaError, NoVideo, TooShort, Truncated

#: Decoder and encoder threads: more would not be faster on clips of this size, and encoders answer differently.
THREADS = 2

#: Seconds to go back, one after another, when a seek lands behind the wanted frame (open GOPs, transport streams).
BACK_OFF = (0, 2, 10, 60)


@dataclass(frozen=True)
class Shown:
    """A decoded frame and the seconds [start, end) in which it is shown."""

    frame: VideoFrame
    start: Fraction
    end: Fraction


def check_file(path: str | Path) -> Path:
    """The path of a file that exists and is not empty.

    Raises:
        MediaError: otherwise.
    """
    path = Path(path)
    if not path.exists():
        raise MediaError(f"cannot read {path}", "there is no such file", "check the path")
    if path.is_dir():
        raise MediaError(f"cannot read {path}", "it is a folder", "name a video or audio file in it")
    if path.stat().st_size == 0:
        raise MediaError(f"cannot read {path}", "the file is empty", "copy or download it again")
    return path


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns the decoder's exceptions into `MediaError`s about `path`."""
    try:
        yield
    except LipbenchError:
        raise
    except av.error.InvalidDataError as error:
        why = "it is not a video or audio file, or it was cut off before its index was written (moov atom missing)"
        raise MediaError(f"cannot read {path}", why, "play it in a player; copy or download it again") from error
    except (av.error.FFmpegError, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"cannot read {path}", why, "check the file and its permissions") from error


def open_input(path: str | Path) -> InputContainer:
    """The opened container; close it.

    Raises:
        MediaError: missing, empty, unreadable, or not media.
    """
    path = check_file(path)
    with reading(path):
        return av.open(str(path), metadata_errors="replace")


def video_stream(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover picture."""
    for stream in container.streams.video:
        if not stream.disposition & stream.disposition.attached_pic:
            return stream
    return None


class VideoSource:
    """A video file, open for decoding: `with VideoSource(path) as source: for shown in source.frames(): ...`.

    Raises:
        MediaError, NoVideo: on entering.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_file(path)

    def __enter__(self) -> VideoSource:
        self._open()
        try:
            _ = self.first
        except BaseException:
            self.container.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.container.close()

    def _open(self) -> None:
        self.container = open_input(self.path)
        stream = video_stream(self.container)
        if stream is None:
            self.container.close()
            raise NoVideo(f"cannot take frames from {self.path}", "it has no video stream", "give a video file")
        self.stream = stream
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = THREADS
        self._last_dts: int | None = None
        self._rewound = True

    @cached_property
    def first(self) -> VideoFrame:
        """The first frame: its time stamp is time 0, its side data carry the rotation."""
        for frame in self._decode():
            self._rewound = False
            return frame
        raise Truncated(
            f"cannot take frames from {self.path}",
            "its video stream holds no frame that can be decoded",
            "copy or download the file again",
        )

    @cached_property
    def zero(self) -> Fraction:
        """Time stamp of the first frame, seconds."""
        return self._pts(self.first) or Fraction(0)

    @cached_property
    def rate(self) -> Fraction:
        """The rate that the container states, for frames without a duration."""
        rate = self.stream.average_rate or self.stream.guessed_rate or Fraction(25)
        return Fraction(rate)

    def _pts(self, frame: VideoFrame) -> Fraction | None:
        if frame.pts is None or frame.time_base is None:
            return None
        return frame.pts * Fraction(frame.time_base)

    def _decode(self) -> Iterator[VideoFrame]:
        """Frames in the order shown, from where the container stands to its end."""
        seen = False
        with reading(self.path):
            for packet in self._demux():
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError as error:
                    if not seen:
                        continue  # recordings may begin, and seeks may land, between key frames
                    at = float(packet.pts * packet.time_base) if packet.pts is not None else float("nan")
                    raise MediaError(
                        f"cannot decode {self.path}",
                        f"the data of the frame at {at:.3f} s are damaged",
                        "copy or download the file again, or trim the clip to end before it",
                    ) from error
                for frame in frames:
                    seen = True
                    yield frame

    def _demux(self) -> Iterator[Packet[VideoStream]]:
        for packet in self.container.demux(self.stream):
            if packet.size and packet.is_corrupt:
                continue  # cut off in the middle; the check at the end of the stream tells
            if packet.size and packet.dts is not None:
                self._last_dts = max(self._last_dts or packet.dts, packet.dts)
            yield packet

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
        self.check_complete()

    def times(self) -> tuple[list[Fraction], Fraction]:
        """(time stamps of all frames shown, sorted; the end of the last), from the packets alone."""
        self._restart()
        times: list[Fraction] = []
        end = self.zero
        with reading(self.path):
            for packet in self._demux():
                if not packet.size or packet.is_discard:
                    continue
                stamp = packet.pts if packet.pts is not None else packet.dts
                at = times[-1] + 1 / self.rate if stamp is None and times else (stamp or 0) * Fraction(packet.time_base)
                if at >= self.zero:
                    times.append(at)
                    length = (packet.duration or 0) * Fraction(packet.time_base) or 1 / self.rate
                    end = max(end, at + length)
        return sorted(times), end

    def _restart(self) -> None:
        if not self._rewound:
            self.container.close()
            self._open()
        self._rewound = False

    def check_complete(self) -> None:
        """At the end of the stream: did every frame that the index names come?"""
        index = getattr(self.stream, "index_entries", ())
        formats = self.container.format.name.split(",")
        if "mp4" in formats and len(index) and self._last_dts is not None:
            have = sum(entry.timestamp <= self._last_dts for entry in index)
            if have < len(index):
                raise _truncated(self.path, f"only {have} of {len(index)} frames can be decoded")

    def frames(self, from_s: Fraction = Fraction(0)) -> Iterator[Shown]:
        """Every frame from the one shown at `from_s` seconds on, in order, each with the time it is shown.

        Raises:
            TooShort: the video ends before `from_s`.
            Truncated: at the end, when the file holds fewer frames than it declares.
            MediaError: damaged data.
        """
        before: Shown | None = None
        zero = self.zero
        for shown in self._timed(self._from(zero, from_s), zero):
            if shown.end > from_s:
                yield shown
            before = shown
        end = before.end if before else Fraction(0)
        self.check_complete()
        if end <= from_s:
            raise TooShort(
                f"cannot start at {float(from_s):g} s of {self.path}",
                f"the video ends at {float(end):.3f} s",
                "choose an earlier start",
            )

    def _timed(self, frames: Iterator[VideoFrame], zero: Fraction) -> Iterator[Shown]:
        """Each frame with its interval: it is shown until the next one starts, the last one for its own duration."""
        held: tuple[VideoFrame, Fraction] | None = None
        step = 1 / self.rate
        for frame in frames:
            pts = self._pts(frame)
            if pts is not None:
                start = pts - zero
            else:
                start = held[1] + step if held else Fraction(0)
            if held:
                start = max(start, held[1])
                if start > held[1]:  # of two frames at one time the later stays
                    yield Shown(held[0], held[1], start)
            held = frame, start
        if held:
            frame = held[0]
            duration = frame.duration * Fraction(frame.time_base) if frame.duration and frame.time_base else step
            yield Shown(frame, held[1], held[1] + duration)

    def _from(self, zero: Fraction, from_s: Fraction) -> Iterator[VideoFrame]:
        """Frames from `from_s` or a little before, found by seeking."""
        base = Fraction(self.stream.time_base or 1)
        for back in BACK_OFF if from_s > 0 else ():
            target = from_s - back
            if target <= 0:
                break
            with reading(self.path):
                self.container.seek(int((zero + target) / base), stream=self.stream, backward=True)
            self._rewound = False
            frames = self._decode()
            frame = next(frames, None)
            if frame is not None and (pts := self._pts(frame)) is not None and pts - zero <= from_s:
                yield frame
                yield from frames
                return
        self._restart()
        yield from self._decode()


def _truncated(path: Path, why: str) -> Truncated:
    return Truncated(f"{path} is cut off", why, "copy or download it again, or set end_s to a time before the cut")
