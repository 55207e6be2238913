"""The files that `score` is given, as they are measured: which picture, which sound."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lipbench import media
from lipbench.core.errors import MediaError
from lipbench.media.image_series import series
from lipbench.media.own_rate import copy_sound
from lipbench.media.resize import copy_by_number, resize_video
from lipbench.media.streams import sound_of, split_stream


@dataclass
class Given:
    """Files of a request, and what is to be said of them.

    Args:
        video: what is measured: a file (FILE:a:N picks its sound), a folder of pictures or a pattern.
        audio: the dub, or None for the video's own sound.
        channel: the one channel of the sound that is used, None for all.
        fps: rate of series of pictures.
        work: folder for what has to be written.
        by_number: frames will be paired by number, as OpenCV reads them (`pair_by_number`).

    Attributes:
        picture: the file whose picture is measured.
        resized: its size as given and as measured, when they differ.
        remarks: for people.
    """

    video: Path
    audio: Path | None
    channel: str | None
    fps: float
    work: Path
    remarks: list[str]
    by_number: bool = False
    resized: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file, choice = sound_of(self.video, media.SoundChoice(channel=self.channel))
        self._own = (self.file, choice)
        self.picture = self.as_file(self.file, "pictures")

    def as_file(self, path: Path, name: str) -> Path:
        """The path itself, or a lossless video of the series of pictures that it stands for."""
        path, _ = split_stream(path)
        if series(path) is None:
            return path
        target = self.work / f"{name}-as-video.mp4"
        if self.by_number:
            copy_by_number(path, target, self.fps, sys.maxsize)
        else:
            media.normalize_clip(path, target, fps=self.fps, sound=False)
        return target

    def pair_by_number(self, others: Mapping[str, Path | None]) -> dict[str, Path | None]:
        """The others, each with as many frames as the measured picture, all at `fps`, frame n beside frame n.

        What is not so already becomes a lossless copy: of another rate, or longer than the shortest of them.
        """
        given = {"picture": self.picture, **{name: path for name, path in others.items() if path is not None}}
        about = {name: media.probe(path) for name, path in given.items()}
        n = min(info.n_frames for info in about.values())
        for name, path in given.items():
            if about[name].n_frames > n or not media.on_grid(path, self.fps):
                given[name] = self.work / f"{name}-by-number.mp4"
                copy_by_number(path, given[name], self.fps, n)
        self.picture = given.pop("picture")
        for name in given:
            self._say_pairs(about["picture"], about[name], name)
        return {name: given.get(name) for name in others}

    def _say_pairs(self, mine: media.MediaInfo, theirs: media.MediaInfo, name: str) -> None:
        more = mine.n_frames - theirs.n_frames
        if more:
            longer = "the video" if more > 0 else f"the {name}"
            self.remarks.append(f"{name}: frames are paired by number, and the last {abs(more)} of {longer} left out")
        if mine.vfr or theirs.vfr or mine.fps != theirs.fps:
            self.remarks.append(
                f"{name}: frames are paired by number, though the video has {float(mine.fps):.5g} fps and the {name} "
                f"{float(theirs.fps):.5g}: as the script does it"
            )

    def resize(self, others: Mapping[str, Path | None]) -> None:
        """Scale the measured picture to the size of what it is compared to."""
        other = next((path for path in others.values() if path is not None), None)
        if other is None:
            return
        mine, theirs = media.probe(self.picture), media.probe(other)
        size = (theirs.width, theirs.height)
        if size == (mine.width, mine.height):
            return
        target = self.work / "resized.mp4"
        before = resize_video(self.picture, target, size, self.fps)
        self.picture, self.resized = target, {"from": list(before), "to": list(size)}
        self.remarks.append(
            f"the video was scaled from {before[0]}x{before[1]} to {size[0]}x{size[1]} before it was compared"
        )

    def sound(self, needed: bool) -> np.ndarray[Any, np.dtype[np.int16]] | None:
        """(N,) int16 at 16 kHz; None when the video has no sound that can be read.

        Args:
            needed: False passes over the video's own sound.

        Raises:
            MediaError: a file that was given cannot be read, or it is not clear which of its streams is meant.
        """
        if self.audio is None and not needed:
            return None
        path, choice = self._own if self.audio is None else (self.audio, media.SoundChoice(channel=self.channel))
        try:
            track = media.load_audio(path, choice=choice)
        except MediaError as error:
            named = self.audio is not None or choice.stream is not None or choice.channel is not None
            if named or error.reason == "which_audio":
                raise
            self.remarks.append(error.one_line())
            return None
        self.remarks += track.remarks
        self._own = (path, track.choice)
        return track.samples

    def sound_as_it_is(self) -> Path:
        """A wav of what `sound` gave, at its own rate with its own channels."""
        path, choice = self._own
        return copy_sound(path, self.work / "sound-as-it-is.wav", choice)
