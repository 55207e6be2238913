"""The sound of a dub as its clip needs it: the right stream, cut to the clip's part, at the clip's speed.

A clip's `start_s` and `end_s` lie on the clock that its video and its dubs share, so they cut both: a scene of a film
with dubs as long as the film needs no more. A dub's own `start_s` and `end_s` are seconds of its file and stand above
the clip's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lipbench import media
from lipbench.core.errors import ManifestError, TooShort
from lipbench.datasets.types import Clip, Dub

RATE = 16000

#: A dub may differ this much from its clip before it is worth a word, s (2.5 frames at 25 fps).
LENGTH_SLACK_S = 0.1


@dataclass(frozen=True)
class DubSound:
    """What decides which sound a dub is. The fields are those of `Clip` and `Dub`.

    Attributes:
        audio: the file, or one of its streams as FILE:a:N.
        choice: stream, channel and language.
        offset_s: > 0 delays the audio, < 0 cuts its start, s of the clip.
        start_s: second of the file that belongs to the clip's start, None = the one of the same number.
        end_s: second of the file where the dub ends, None = with the clip.
        rate: how much faster than its clip the audio runs.
        clip_start_s: where the used part of the clip begins.
        clip_end_s: where it ends, None = with the video.
        segments: of the clip; the sound of each, one after the other, instead.
        fps: of the clip's frames: each segment's sound is as long as its frames. None: as long as the segment.
    """

    audio: Path
    choice: media.SoundChoice = field(default_factory=media.SoundChoice)
    offset_s: float = 0.0
    start_s: float | None = None
    end_s: float | None = None
    rate: float = 1.0
    clip_start_s: float = 0.0
    clip_end_s: float | None = None
    segments: tuple[tuple[float, float], ...] = ()
    fps: float | None = None

    @classmethod
    def of(cls, dub: Dub, clip: Clip) -> DubSound:
        """That of a dub with a file of its own."""
        assert dub.audio is not None
        choice = media.SoundChoice(dub.stream, dub.channel, dub.language)
        return cls(
            dub.audio, choice, dub.offset_s, dub.start_s, dub.end_s, dub.rate, clip.start_s, clip.end_s, clip.segments
        )

    @property
    def whole(self) -> bool:
        """Whether nothing is cut out of the file."""
        uncut = self.start_s is None and self.end_s is None and not self.segments
        return uncut and not self.clip_start_s and self.clip_end_s is None

    @property
    def _guessed(self) -> bool:
        """Whether the clip's start is taken for the dub's."""
        return self.start_s is None and self.end_s is None and self.clip_start_s > 0

    def read(self, used_s: float | None = None) -> media.AudioTrack:
        """The sound from the start of the clip's part on, (N,) int16 at 16 kHz.

        Args:
            used_s: length of the clip's part, where the caller knows it.

        Raises:
            ManifestError: the file ends before the clip's part does and nothing says where the dub begins in it.
            MediaError: the file cannot be read, or has no such stream or channel.
            TooShort: nothing of the file is left.
        """
        if self.segments:
            return self._joined()
        if self.whole:
            track = media.load_audio(self.audio, RATE, choice=self.choice, speed=self.rate)
            return replace(track, samples=shift(track.samples, self.offset_s))
        lead, begin, end = self.span()
        try:
            track = media.load_audio(self.audio, RATE, start_s=begin, end_s=end, choice=self.choice, speed=self.rate)
        except TooShort:
            if self._guessed:
                raise self._unclear(None) from None
            raise
        samples = np.concatenate([np.zeros(round(lead * RATE), np.int16), track.samples])
        clip_end = self.clip_end_s if self.clip_end_s is not None or used_s is None else self.clip_start_s + used_s
        reached = self.clip_start_s + len(samples) / RATE
        if self._guessed and clip_end is not None and reached < clip_end - LENGTH_SLACK_S:
            raise self._unclear(reached)
        return replace(track, samples=samples)

    def _joined(self) -> media.AudioTrack:
        """The sound of all segments."""
        from lipbench.media.segments import fitted, segment_frames

        zero = self.segments[0][0]
        fps = self.fps or RATE  # as long as the segment, to the sample
        ends = np.cumsum([0, *segment_frames(self.segments, fps)])
        parts: list[np.ndarray] = []
        track: media.AudioTrack | None = None
        for k, (start, end) in enumerate(self.segments):
            begin = None if self.start_s is None else self.start_s + (start - zero) / self.rate
            one = replace(self, segments=(), start_s=begin, clip_start_s=start, clip_end_s=end)
            track = one.read()
            parts.append(fitted(track.samples, int(ends[k]), int(ends[k + 1]), fps))
        assert track is not None
        return replace(track, samples=np.concatenate(parts))

    def span(self) -> tuple[float, float, float | None]:
        """(seconds of silence before it, its start, its end in seconds of the file; None = the file's end).

        Raises:
            TooShort: nothing lies between start and end.
        """
        if self.start_s is None:
            first = (self.clip_start_s - self.offset_s) / self.rate
            lead, begin = max(-first, 0.0) * self.rate, max(first, 0.0)
        else:
            lead, begin = max(self.offset_s, 0.0), self.start_s + max(-self.offset_s, 0.0) / self.rate
        end = self.end_s
        if end is None and self.clip_end_s is not None:
            end = begin + (self.clip_end_s - self.clip_start_s - lead) / self.rate
        if end is not None and end <= begin:
            raise TooShort(
                f"nothing of {self.audio} is left",
                f"it is used from {begin:g} s to {end:g} s",
                "mend its offset or span",
            )
        return lead, begin, end

    def _unclear(self, reached: float | None) -> ManifestError:
        where = "before" if reached is None else f"at {reached:.2f} s of the clip, before"
        return ManifestError(
            f"where does {self.audio} begin? It ends {where} the part of the clip that is used",
            "it may run along the whole video, or begin with that part",
            f"say so: `start_s: 0` in the dub when it is cut already, `start_s: {self.clip_start_s:g}` when it runs "
            "along the video (lipbench dub: --audio-start)",
        )


def shift(samples: np.ndarray, offset_s: float) -> np.ndarray:
    """(N,) audio at 16 kHz moved by offset_s: positive delays it (silence in front), negative cuts its start."""
    n = round(abs(offset_s) * RATE)
    if offset_s >= 0:
        return np.concatenate([np.zeros(n, samples.dtype), samples])
    return samples[n:]
