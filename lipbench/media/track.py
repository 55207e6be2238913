"""The sound of any container as 16-bit mono at a wanted rate, on the clock of its video."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lipbench.core.errors import TooShort
from lipbench.media.audio import AudioSource
from lipbench.media.streams import SoundChoice


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
        choice: which stream and channel these are; asked for again it gives the same.
        remarks: what the user should know about that.
    """

    samples: np.ndarray
    rate: int
    lead_s: float
    source_rate: int
    source_channels: int
    codec: str
    choice: SoundChoice = field(default_factory=SoundChoice)
    remarks: tuple[str, ...] = ()


def read_audio(
    path: str | Path,
    rate: int = 16000,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    choice: SoundChoice | None = None,
    speed: float = 1.0,
) -> np.ndarray:
    """Sound of any container as (N,) int16 mono; arguments and errors as `load_audio`."""
    return load_audio(path, rate, start_s=start_s, end_s=end_s, choice=choice, speed=speed).samples


def load_audio(
    path: str | Path,
    rate: int = 16000,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    choice: SoundChoice | None = None,
    speed: float = 1.0,
) -> AudioTrack:
    """Sound of any container: channels mixed to one, soxr HQ resampling, rounded and clipped to 16 bits.

    Sample 0 is the moment the first video frame is shown (plus start_s); a file without video starts with its first
    sample. 16-bit mono at `rate` comes through bit by bit. Channels that cancel each other when mixed are not mixed:
    the loudest is taken and that is remarked.

    Args:
        path: a file, or one of its audio streams as FILE:a:N.
        rate: samples per second of the result.
        start_s: seconds of the file.
        end_s: seconds of the file, None for its end.
        choice: which of its streams and channels; see `media.streams` and `media.downmix`.
        speed: how much faster than wanted the file runs: 1.04 gives 1.04 times as many samples.

    Raises:
        MediaError: missing, unreadable, damaged or no such stream or channel; NoAudio: no audio stream; TooShort:
            nothing left in the range.
        UsageError: an argument is outside its range.
    """
    with AudioSource(path, choice) as source:
        parts = list(source.chunks(rate, start_s, end_s, speed))
        samples = np.concatenate(parts) if parts else np.zeros(0, np.int16)
        if len(samples) == 0:
            end = "its end" if end_s is None else f"{end_s:g} s"
            raise TooShort(f"{source.path} has no sound in {start_s:g} s to {end}", "", "choose another range")
        cancels = source.cancels
        if cancels is None:
            return AudioTrack(
                samples,
                rate,
                float(source.lead),
                source.rate,
                source.channels,
                source.codec,
                source.choice,
                source.remarks,
            )
        found, stream = source.path, source.choice
    other = load_audio(found, rate, start_s=start_s, end_s=end_s, choice=replace(stream, channel=cancels), speed=speed)
    remark = f"the channels of {found} cancel each other when they are mixed: its channel {cancels!r} is used alone"
    return replace(other, remarks=(*source.remarks, remark))
