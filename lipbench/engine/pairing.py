"""A video and what it is compared to, brought to one rate: on which grid, and what is to be said of it.

Files that lie on the grid as they are are measured as they are; nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.media.clock import as_rate
from lipbench.media.grids import GRIDS
from lipbench.media.probe import facts
from lipbench.media.source import VideoSource
from lipbench.media.thumbnails import Thumbnails, thumbnails
from lipbench.metrics.timing import GAIN, gain_db

BY_TIME = next(iter(GRIDS))
#: Rates differ that are farther apart than this, relatively: 30 and 29.97 do.
SAME_RATE = Fraction(1, 5000)


@dataclass
class Pairing:
    """Brings files to the measured video's grid and keeps what there is to say.

    Args:
        video: the measured video as given.
        fps: the rate at which everything is compared.
        work: folder for what has to be written.

    Attributes:
        path: the measured video at `fps`.
        n_frames: of it.
        remarks: for people.
        timing: "reference", "truth" -> rates of both files, and the grid when they differ.
    """

    video: Path
    fps: float
    work: Path
    remarks: list[str] = field(default_factory=list)
    timing: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._info = media.probe(self.video)
        self._looked_at: set[Path] = set()
        self.path = at_rate(self.video, self.work / "prediction.mp4", self.fps)
        self.n_frames = media.probe(self.path).n_frames
        if self._info.interlaced:
            self._fields(self.video, "the video")

    @property
    def rate(self) -> float:
        """Frames per second of the measured file as it was given."""
        return float(self._info.fps)

    def beside(self, path: Path, name: str) -> Path:
        """A reference or truth with as many frames as the video.

        Raises:
            MediaError: it cannot be read.
        """
        info, target = media.probe(path), self.work / f"{name}.mp4"
        self._fields(self.video, "the video")
        self._fields(path, f"the {name}")
        self.timing[name] = {"rates": {"prediction": self.rate, name: float(info.fps)}}
        if info.vfr or self._info.vfr or abs(info.fps / self._info.fps - 1) > SAME_RATE:
            laid = self._regridded(path, info, target, name)
        else:
            laid = at_rate(path, target, self.fps)
        own = media.probe(laid).n_frames
        if abs(own - self.n_frames) <= 1:
            return laid
        longer = target.with_name(f"laid-{target.name}")
        silence = np.zeros(round(self.n_frames * 16000 / self.fps), np.int16)
        media.retime_to_audio(_written(laid, target, self.fps), silence, longer, target.with_suffix(".wav"), self.fps)
        self.remarks.append(f"{name}: {_lengths(self.n_frames, own, name)}")
        return longer

    def _regridded(self, path: Path, info: media.MediaInfo, target: Path, name: str) -> Path:
        """The other video at `fps`, by the rule under which it fits the video best."""
        grid, gain = BY_TIME, 0.0
        mine, theirs = thumbnails(self.video), thumbnails(path)
        rate, made_at = as_rate(self.fps), as_rate(self._info.fps)
        if not self._info.vfr and mine.pictures.shape[1:] == theirs.pictures.shape[1:]:
            errors = {rule: _error(mine, theirs, rule, rate, made_at) for rule in GRIDS}
            best = min(errors, key=lambda rule: errors[rule])
            if gain_db(errors[BY_TIME], errors[best]) > GAIN:
                grid, gain = best, gain_db(errors[BY_TIME], errors[best])
        self.timing[name] |= {"grid": grid, "thumbnail_gain_db": gain}
        head = f"{name}: it has {_rate(info)}, the video {_rate(self._info)}"
        head += f"; compared at {self.fps:g} fps, frames picked"
        if grid == BY_TIME:
            self.remarks.append(f"{head} by time stamps")
            return at_rate(path, target, self.fps)
        self.remarks.append(
            f"{head} by the rule of {grid}: the video shows these frames of the {name}, the thumbnails fit "
            f"{gain:.1f} dB better than by time stamps"
        )
        picks = _picks(_times(self.video), _times(path), grid, rate, made_at)
        media.normalize_clip(path, target, fps=self.fps, picks=picks, sound=False)
        return target

    def _fields(self, path: Path, name: str) -> None:
        """Say that a file is interlaced, once."""
        if path in self._looked_at:
            return
        self._looked_at.add(path)
        found = thumbnails(path)
        if found.interlaced:
            self.remarks.append(
                f"{name} is interlaced ({found.interlaced} of {len(found.starts)} frames): its combs are measured like "
                "picture; deinterlace it first, for example with ffmpeg's filter bwdif"
            )


#: (starts of the frames in seconds, end of the last).
Times = tuple[tuple[Fraction, ...], Fraction]


def at_rate(path: Path, target: Path, fps: float) -> Path:
    """The file itself where it is at `fps` as it is, else a lossless copy that is."""
    return path if media.on_grid(path, fps) else _written(path, target, fps)


def _written(path: Path, target: Path, fps: float) -> Path:
    if path != target:
        media.normalize_clip(path, target, fps=fps, sound=False)
    return target


def _times(path: Path) -> Times:
    with VideoSource(path) as source:
        facts(source)
        times, end = source.times()
        return tuple(t - source.zero for t in times), end - source.zero


def _picks(mine: Times, theirs: Times, grid: str, rate: Fraction, made_at: Fraction) -> list[int]:
    """The other's frame beside each frame of the video at `rate`: by the rule to the rate at which the video was made,
    from there as the video itself comes to `rate`."""
    if grid == BY_TIME:
        return GRIDS[grid](*theirs, rate)
    made = GRIDS[grid](*theirs, made_at)
    return [made[k] for k in GRIDS[BY_TIME](*mine, rate) if k < len(made)]


def _error(mine: Thumbnails, theirs: Thumbnails, grid: str, rate: Fraction, made_at: Fraction) -> float:
    """Mean squared error of the thumbnails under a rule."""
    shown = GRIDS[BY_TIME](mine.starts, mine.end, rate)
    picks = _picks((mine.starts, mine.end), (theirs.starts, theirs.end), grid, rate, made_at)
    pairs = zip(mine.pictures[shown], theirs.pictures[picks], strict=False)
    return float(np.mean([np.square(a.astype(np.float32) - b).mean() for a, b in pairs]))


def _rate(info: media.MediaInfo) -> str:
    return f"{float(info.fps):.5g} fps" + (" (variable)" if info.vfr else "")


def _lengths(n_frames: int, own: int, name: str) -> str:
    many = abs(n_frames - own)
    if own > n_frames:
        return f"{many} frames longer than the video: cut"
    return f"{many} frames shorter than the video: the {name} is played back and forth"
