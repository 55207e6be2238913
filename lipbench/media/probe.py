"""What a media file holds, without decoding it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.audio.stream import AudioStream

from lipbench.core.by_file import remembered
from lipbench.media.clock import as_rate, slot
from lipbench.media.image_series import open_video
from lipbench.media.opening import fraction
from lipbench.media.pixels import Color, orientation
from lipbench.media.source import VideoSource


@dataclass(frozen=True)
class AudioInfo:
    """The first audio stream; duration as the container states it. `streams` is how many there are."""

    rate: int
    channels: int
    duration_s: float
    codec: str
    streams: int = 1


@dataclass(frozen=True)
class MediaInfo:
    """A video file.

    Attributes:
        width: after rotation.
        height: after rotation.
        fps: frames per second; of a variable-rate file the mean.
        n_frames: frames as a player shows them (edit lists applied).
        duration_s: from the first frame to the end of the last.
        rotation: degrees clockwise that the stored picture is turned for display.
        mirrored: whether it is mirrored as well.
        vfr: frames do not lie on a constant-rate grid.
        start_s: time stamp of the first frame in the container.
        sample_aspect: width of a pixel over its height.
        color: H.273 tags of the stream.
        interlaced: its first frame is marked as two fields.
    """

    path: Path
    width: int
    height: int
    fps: Fraction
    n_frames: int
    duration_s: float
    rotation: int
    pix_fmt: str
    codec: str
    vfr: bool
    audio: AudioInfo | None
    mirrored: bool = False
    start_s: float = 0.0
    sample_aspect: Fraction = Fraction(1)
    color: Color | None = None
    interlaced: bool = False


def probe(path: str | Path, *, picture_fps: float | Fraction | None = None) -> MediaInfo:
    """Facts about a video file, from its packets' time stamps and its first frame.

    Args:
        path: a video file, a folder of numbered pictures or a pattern of them (`media.image_series`).
        picture_fps: rate of a series of pictures, 25 when left out.

    Raises:
        MediaError: the file is missing or cannot be decoded.
        NoVideo: the file has no video.
        Truncated: the file ends before its header says.
    """
    return replace(_probe(Path(path), picture_fps), path=Path(path))


@remembered(kept=256)  # in a run every stage that looks at a video asks
def _probe(path: Path, picture_fps: float | Fraction | None) -> MediaInfo:
    with open_video(path, picture_fps) as source:
        info = facts(source)
        source.check_complete(Fraction(info.duration_s))
        return info


def on_grid(path: str | Path, fps: float | Fraction) -> bool:
    """Whether a file's frames, as they are, are those that it has at `fps`: one in every slot of `media.clock`.

    Raises:
        MediaError, NoVideo, Truncated: as `probe`.
    """
    return _on_grid(Path(path), as_rate(fps))


@remembered(kept=256)
def _on_grid(path: Path, rate: Fraction) -> bool:
    with VideoSource(path) as source:
        times, end = source.times()
        source.check_complete(end - source.zero)
        slots = [slot(t - source.zero, rate) for t in times]
        return slots == list(range(max(slot(end - source.zero, rate), 1)))


def facts(source: VideoSource, until_s: Fraction | None = None) -> MediaInfo:
    """`probe` of an open source; does not mind a file that is cut off.

    Args:
        until_s: look at the packets up to about this second only; counts and rates then hold for that part.
    """
    first, stream, sounds = source.first, source.stream, source.container.streams.audio
    turn = orientation(first)
    width, height = turn.size(first.width, first.height)
    codec, aspect = stream.codec_context.name, fraction(stream.sample_aspect_ratio) or Fraction(1)
    tick, stated = fraction(stream.time_base) or Fraction(1), source.rate
    audio = _sound(sounds[0], source.container.duration, len(sounds)) if sounds else None
    # Reopens the container: nothing of the old one may be touched from here on.
    times, end = source.times(until_s)
    fps, vfr = _rate(times, end, stated, tick)
    return MediaInfo(
        source.path,
        width,
        height,
        fps,
        len(times),
        float(end - source.zero),
        turn.degrees,
        first.format.name,
        codec,
        vfr,
        audio,
        turn.mirrored,
        float(source.zero),
        aspect,
        Color.of(first),
        bool(first.interlaced_frame),
    )


def _sound(stream: AudioStream, container_duration: int | None, streams: int) -> AudioInfo:
    base = fraction(stream.time_base)
    if stream.duration is not None and base:
        seconds = float(stream.duration * base)
    else:
        seconds = (container_duration or 0) / 1e6
    return AudioInfo(
        stream.codec_context.sample_rate, stream.codec_context.channels, seconds, stream.codec_context.name, streams
    )


def _rate(times: list[Fraction], end: Fraction, stated: Fraction, tick: Fraction) -> tuple[Fraction, bool]:
    """(frames per second, variable?) from the sorted times of the frames.

    Variable: some interval is off the median by over a tenth of it and over one and a half ticks of the time base
    (mkv rounds to milliseconds).
    """
    steps = sorted(b - a for a, b in pairwise(times))
    if not steps:
        return stated.limit_denominator(1001), False
    median = steps[len(steps) // 2]
    off = max(median - steps[0], steps[-1] - median)
    vfr = off > median / 10 + tick * 3 / 2
    mean = len(steps) / (times[-1] - times[0])
    if vfr:
        return (len(times) / (end - times[0])).limit_denominator(1001), True
    if abs(stated / mean - 1) < Fraction(1, 200):
        return stated.limit_denominator(1001), False
    return mean.limit_denominator(1001), False
