"""Several parts of one video as one clip: the shots of a scene that show the actor, without what lies between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import NoAudio, TooShort
from lipbench.media.align import NormalizedClip
from lipbench.media.clock import as_rate, as_time, slot
from lipbench.media.image_series import open_video
from lipbench.media.mux import Mp4
from lipbench.media.pixels import orientation
from lipbench.media.probe import facts
from lipbench.media.read import pick
from lipbench.media.streams import SoundChoice
from lipbench.media.track import AudioTrack, load_audio
from lipbench.media.uniform import ToUniform

RATE = 16000
Segments = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class JoinedClip:
    """What `join_segments` made.

    Attributes:
        clip: the new file.
        cuts: its frames that begin a segment, without the first.
        sound: of the segments, as long as their frames; None where the source has no sound there.
    """

    clip: NormalizedClip
    cuts: tuple[int, ...]
    sound: AudioTrack | None


def segment_frames(segments: Segments, fps: float | Fraction) -> list[int]:
    """How many frames each segment (start, end in seconds) has at a rate; at least one."""
    rate = as_rate(fps)
    return [max(slot(as_time(end) - as_time(start), rate), 1) for start, end in segments]


def fitted(samples: NDArray[np.int16], first: int, end: int, fps: float | Fraction) -> NDArray[np.int16]:
    """(N,) samples as long as frames [first, end) of a clip, cut or filled with silence at the end."""
    edges = [round(Fraction(n * RATE) / as_rate(fps)) for n in (first, end)]
    n = edges[1] - edges[0]
    return np.pad(samples[:n], (0, max(0, n - len(samples))))


def join_segments(
    src: str | Path,
    dst: str | Path,
    segments: Segments,
    *,
    fps: float | Fraction = 25,
    sound: SoundChoice | None = None,
    picture_fps: float | Fraction | None = None,
) -> JoinedClip:
    """Parts of a video one after the other, each as `normalize_clip` makes it: no pixel of it changes.

    Args:
        src: a video file, a folder of pictures or a pattern of them.
        dst: the file to make.
        segments: start and end of each, seconds of the source, in order.
        fps: rate to bring it to.
        sound: which of the source's streams and channels.
        picture_fps: rate of a series of pictures; `fps` when left out.

    Raises:
        MediaError, NoVideo, Truncated, DiskFull: as `normalize_clip`.
        TooShort: a segment ends after the video does.
    """
    rate = as_rate(fps)
    counts = segment_frames(segments, rate)
    ends = [int(n) for n in np.cumsum(counts)]
    heard = _sound(src, segments, ends, rate, sound)
    with open_video(src, picture_fps or rate) as source, Mp4(dst, synthetic=False) as out:
        info = facts(source, as_time(segments[-1][1]))
        uniform = ToUniform(source.first, orientation(source.first), info.sample_aspect)
        out.encode_video(uniform.form, rate, crf=None)
        if heard is not None:
            out.sound(heard.samples, RATE, trim=True)
        interlaced = 0
        for (start, end), last in zip(segments, ends, strict=True):
            for shown in pick(source, rate, start, end):
                interlaced += shown.frame.interlaced_frame
                out.write(uniform(shown.frame))
            if out.n_frames < last:
                raise TooShort(
                    f"the segment {start:g} s to {end:g} s of {src} is not there in full",
                    f"the video ends {(last - out.n_frames) / float(rate):.2f} s before it does",
                    "correct the segments",
                )
    clip = NormalizedClip(
        out.n_frames,
        uniform.form.width,
        uniform.form.height,
        float(rate),
        float(info.fps),
        info.vfr,
        info.rotation,
        heard is not None,
        uniform.form.pix_fmt,
        interlaced,
        0.0 if heard is not None else None,
    )
    return JoinedClip(clip, tuple(ends[:-1]), heard)


def _sound(
    src: str | Path, segments: Segments, ends: Sequence[int], rate: Fraction, choice: SoundChoice | None
) -> AudioTrack | None:
    """The sound of the segments, each as long as its frames."""
    parts: list[NDArray[np.int16]] = []
    track: AudioTrack | None = None
    for (start, end), first, last in zip(segments, [0, *ends[:-1]], ends, strict=True):
        try:
            track = load_audio(src, RATE, start_s=start, end_s=end, choice=choice)
        except NoAudio:
            return None
        except TooShort:
            parts.append(fitted(np.zeros(0, np.int16), first, last, rate))
        else:
            parts.append(fitted(track.samples, first, last, rate))
    return None if track is None else replace(track, samples=np.concatenate(parts))
