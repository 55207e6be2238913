"""Clips made uniform, and clips laid under dubs; both without the loss of a pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from lipbench.core.errors import TooShort, UsageError
from lipbench.media.clock import as_rate, as_time, check_range
from lipbench.media.image_series import open_video
from lipbench.media.mux import Mp4
from lipbench.media.pixels import orientation
from lipbench.media.probe import facts
from lipbench.media.read import pick
from lipbench.media.source import TimedFrame, VideoSource
from lipbench.media.streams import ANY, SoundChoice
from lipbench.media.uniform import ToUniform
from lipbench.media.wav import check_samples, write_wav

#: Frames held at a time while playing backwards.
BLOCK = 32


@dataclass(frozen=True)
class NormalizedClip:
    """What `normalize_clip` made and from what.

    Attributes:
        n_frames: of the new file.
        width: of the new file, px.
        height: of the new file, px.
        fps: frames per second of the new file.
        source_fps: frames per second of the source.
        vfr: whether the source's frame rate varies.
        rotation: of the source, degrees clockwise; it has been applied.
        audio: whether the new file has sound.
        pix_fmt: of the new file: that of the source where it is plain 8-bit 4:2:0, else RGB.
        interlaced: frames of the source that are marked as interlaced.
        audio_lead_s: when the source's sound starts, seconds after its first frame; None without sound.
    """

    n_frames: int
    width: int
    height: int
    fps: float
    source_fps: float
    vfr: bool
    rotation: int
    audio: bool
    pix_fmt: str = "yuv420p"
    interlaced: int = 0
    audio_lead_s: float | None = None


def normalize_clip(
    src: str | Path,
    dst: str | Path,
    *,
    fps: float | Fraction = 25,
    start_s: float = 0.0,
    end_s: float | None = None,
    picks: Sequence[int] | None = None,
    sound: SoundChoice | bool = True,
    picture_fps: float | Fraction | None = None,
) -> NormalizedClip:
    """[start_s, end_s) of `src` as a lossless H.264 mp4 (qp 0): constant rate, upright.

    `read_frames` gives the same pixels of the new file as of the source: plain 8-bit 4:2:0 is kept bit by bit, every
    other form (RGB, 4:4:4, 4:2:2, more bits, odd sizes, rotated) as RGB. Frames are picked by time stamp
    (`media.clock`). Sound, when there is some, is muxed as AAC mono.

    Args:
        src: a video file, a folder of pictures or a pattern of them.
        dst: the file to make.
        fps: rate to bring it to.
        start_s: seconds of the source.
        end_s: seconds of the source, None for its end.
        picks: the source's frame that each new frame shows, never falling, instead of a part and the rule of
            `media.clock` (`media.grids`).
        sound: which of its streams and channels is muxed; True by the rule of `media.streams`, False leaves it out.
        picture_fps: rate of a series of pictures; `fps` when left out.

    Raises:
        MediaError: the file is missing or cannot be decoded.
        NoVideo: the file has no video.
        Truncated: the file ends before its header says.
        TooShort: fewer than one frame is left.
        UsageError: an argument is outside its range.
        DiskFull: there is no room for the result.
    """
    rate = as_rate(fps)
    check_range(start_s, end_s)
    with open_video(src, picture_fps or rate) as source, Mp4(dst, synthetic=False) as out:
        info = facts(source, None if end_s is None else as_time(end_s))
        uniform = ToUniform(source.first, orientation(source.first), info.sample_aspect)
        out.encode_video(uniform.form, rate, crf=None)
        heard = bool(sound) and info.audio is not None
        heard = heard and out.sound(src, 0, start_s, end_s, trim=True, choice=ANY if sound is True else sound or None)
        interlaced = 0
        for shown in pick(source, rate, start_s, end_s) if picks is None else _chosen(source, picks):
            interlaced += shown.frame.interlaced_frame
            out.write(uniform(shown.frame))
        n = out.n_frames
    return NormalizedClip(
        n,
        uniform.form.width,
        uniform.form.height,
        float(rate),
        float(info.fps),
        info.vfr,
        info.rotation,
        heard,
        uniform.form.pix_fmt,
        interlaced,
        out.sound_lead if heard else None,
    )


def _chosen(source: VideoSource, picks: Sequence[int]) -> Iterator[TimedFrame]:
    n = 0
    for k, shown in enumerate(source.frames()):
        while n < len(picks) and picks[n] == k:
            yield shown
            n += 1
        if n == len(picks):
            return


@dataclass(frozen=True)
class AlignedClip:
    """How a clip was laid under a dub.

    Attributes:
        index: the clip frame shown at each output frame.
        policy: what was done about different lengths, in words.
        n_frames: of the output.
        n_clip_frames: of the clip.
        n_samples: of the wav, n_frames / fps seconds.
        dropped_samples: of the dub, after the last whole frame.
    """

    index: tuple[int, ...]
    policy: str
    n_frames: int
    n_clip_frames: int
    n_samples: int
    dropped_samples: int


def ping_pong(n_out: int, n_clip: int) -> tuple[int, ...]:
    """Frame numbers 0 .. n-1, n-2 .. 0, 1 .. and so on: back and forth, the end frames once per turn."""
    period = max(2 * (n_clip - 1), 1)
    return tuple(min(i % period, period - i % period) if n_clip > 1 else 0 for i in range(n_out))


def policy(n_out: int, n_clip: int) -> str:
    """One phrase for records: how the clip's length met the dub's."""
    if n_out == n_clip:
        return "dub as long as the clip"
    frames = abs(n_out - n_clip)
    noun = "frame" if frames == 1 else "frames"
    if n_out < n_clip:
        return f"dub {frames} {noun} shorter than the clip: clip cut"
    return f"dub {frames} {noun} longer: clip played back and forth"


def retime_to_audio(
    clip_video: str | Path,
    audio: np.ndarray,
    dst_video: str | Path,
    dst_wav: str | Path,
    fps: float | Fraction = 25,
    rate: int = 16000,
) -> AlignedClip:
    """The clip's frames under a dub: as many as the dub has, cut or played back and forth, never interpolated.

    Writes `dst_video` (lossless, the dub muxed) and `dst_wav` (the dub, trimmed to whole frames: 640 samples each at
    16 kHz and 25 fps).

    Args:
        clip_video: a constant-rate clip at `fps` (see `normalize_clip`).
        audio: (N,) int16 at `rate`.

    Raises:
        TooShort: the dub is shorter than one frame.
        UsageError: the clip is not at `fps`, or audio of the wrong type.
        MediaError: the file is missing or cannot be decoded.
        NoVideo: the file has no video.
        Truncated: the file ends before its header says.
        DiskFull: there is no room for the result.
    """
    audio = check_samples(audio)
    grid = as_rate(fps)
    n_out = int(len(audio) * grid / rate)
    if n_out == 0:
        raise TooShort(
            f"the dub has {len(audio)} samples",
            f"one frame at {float(grid):g} fps is {float(rate / grid):g} samples",
            "give a longer dub",
        )
    n_samples = int(n_out * Fraction(rate) / grid)
    with VideoSource(clip_video) as source:
        info = facts(source)
        if info.vfr or abs(info.fps / grid - 1) > Fraction(1, 1000):
            raise UsageError(
                f"cannot lay {clip_video} under a dub at {float(grid):g} fps",
                f"it has {'a variable rate' if info.vfr else f'{float(info.fps):g} fps'}",
                "normalize the clip first",
            )
        index = ping_pong(n_out, info.n_frames)
        uniform = ToUniform(source.first, orientation(source.first), info.sample_aspect)
        with Mp4(dst_video, synthetic=False) as out:
            out.encode_video(uniform.form, grid, crf=None)
            out.sound(audio[:n_samples], rate)
            for shown in _back_and_forth(source, n_out, info.n_frames):
                out.write(uniform(shown.frame))
    write_wav(dst_wav, audio[:n_samples], rate)
    return AlignedClip(index, policy(n_out, info.n_frames), n_out, info.n_frames, n_samples, len(audio) - n_samples)


def _back_and_forth(source: VideoSource, n_out: int, n_clip: int) -> Iterator[TimedFrame]:
    """Frames in ping-pong order: forwards streamed, backwards in blocks of `BLOCK` frames found by seeking."""
    sent = 0
    starts: list[Fraction] = []
    forwards = True
    while sent < n_out:
        if n_clip == 1:
            only = next(source.frames())
            for _ in range(n_out):
                yield only
            return
        run = _forwards(source, starts, 0 if sent == 0 else 1) if forwards else _backwards(source, starts)
        for shown in run:
            yield shown
            sent += 1
            if sent == n_out:
                return
        forwards = not forwards


def _forwards(source: VideoSource, starts: list[Fraction], skip: int) -> Iterator[TimedFrame]:
    first_time = not starts
    for i, shown in enumerate(source.frames()):
        if first_time:
            starts.append(shown.start)
        if i >= skip:
            yield shown


def _backwards(source: VideoSource, starts: list[Fraction]) -> Iterator[TimedFrame]:
    """Frames n-2 .. 0."""
    stop = len(starts) - 1
    while stop > 0:
        begin = max(stop - BLOCK, 0)
        held: list[TimedFrame] = []
        for shown in source.frames(starts[begin]):
            if shown.start >= starts[stop]:
                break
            held.append(shown)
        yield from reversed(held)
        stop = begin
