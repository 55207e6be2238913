"""Numbered pictures as a video: a folder of them, or a pattern such as `frames/f%04d.png` or `frames/*.png`.

They are shown in the order of their numbers, which must follow one another: a picture that is missing would move all
after it. Pictures state no rate; where none is given it is 25, FFmpeg's own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from lipbench.core import keys
from lipbench.core.errors import MediaError, TooShort
from lipbench.media.clock import as_rate
from lipbench.media.pixels import Decoder
from lipbench.media.source import TimedFrame, VideoSource

#: Endings of the files that count as pictures.
ENDINGS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

DEFAULT_RATE = Fraction(25)

_NUMBER = re.compile(r"(?P<before>.*?)(?P<number>\d+)(?P<after>\D*)", re.DOTALL)
_PATTERN = re.compile(r"%(?:0?(?P<digits>\d+))?d")


def series(path: str | Path) -> tuple[Path, ...] | None:
    """The pictures that a folder or pattern stands for, in order; None for any other path.

    Raises:
        MediaError: no picture fits the pattern, they are several series, or a number is missing or twice there.
    """
    path = Path(path)
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith(".")]
        return _in_order(path, found) if found else None
    if not is_pattern(path):
        return None
    wanted = _expression(path.name)
    found = [file for file in path.parent.iterdir() if wanted.fullmatch(file.name)] if path.parent.is_dir() else []
    if not found:
        raise MediaError(
            f"cannot read {path}", "no picture fits this pattern", "check the folder and the digits of the pattern"
        )
    return _in_order(path, found)


def is_pattern(path: Path) -> bool:
    """Whether a path is the pattern of a series: no file of that very name, %d or * in it, a picture's ending."""
    spells = path.suffix.lower() in ENDINGS and (len(_PATTERN.findall(path.name)) == 1 or "*" in path.name)
    return spells and not path.exists()


def is_series(path: Path) -> bool:
    """Whether a path is a folder or a pattern, whatever it holds."""
    return path.is_dir() or is_pattern(path)


def _expression(name: str) -> re.Pattern[str]:
    match = _PATTERN.search(name)
    if match is None:
        return re.compile(".*".join(re.escape(part) for part in name.split("*")))
    digits = match["digits"] or "1"
    return re.compile(rf"{re.escape(name[: match.start()])}\d{{{digits},}}{re.escape(name[match.end() :])}")


def _in_order(path: Path, found: Sequence[Path]) -> tuple[Path, ...]:
    numbered: dict[tuple[str, str, str], dict[int, Path]] = {}
    for file in sorted(found):
        match = _NUMBER.fullmatch(file.stem)  # the last number in the name
        if match is None:
            if len(found) == 1:
                return (file,)
            raise MediaError(
                f"cannot use the pictures of {path} as a video", f"{file.name} has no number", "number them in order"
            )
        number = int(match["number"])
        mine = numbered.setdefault((match["before"], match["after"], file.suffix.lower()), {})
        if number in mine:
            raise MediaError(
                f"cannot use the pictures of {path} as a video",
                f"{mine[number].name} and {file.name} have one number",
                "delete or rename one of them",
            )
        mine[number] = file
    if len(numbered) > 1:
        folder = path if path.is_dir() else path.parent
        named = [f"{before}%d{after}{ending}" for before, after, ending in sorted(numbered)]
        raise MediaError(
            f"{path} holds {len(named)} series of pictures",
            ", ".join(named[:5]),
            f"name one of them: {folder / named[0]}",
        )
    (pictures,) = numbered.values()
    numbers = sorted(pictures)
    missing = next((n + 1 for n, after in pairwise(numbers) if after != n + 1), None)
    if missing is not None:
        raise MediaError(
            f"cannot use the pictures of {path} as a video",
            f"number {missing} is missing between {pictures[numbers[0]].name} and {pictures[numbers[-1]].name}",
            "make it again; a missing picture would move all after it",
        )
    return tuple(pictures[n] for n in numbers)


def present(path: Path) -> bool:
    """Whether there is such a file, or a series of pictures."""
    return path.is_file() or is_series(path)


def digest(path: Path) -> str:
    """SHA-256 of a video file; of a series that of the text that `sha256sum` prints of its pictures, names sorted.

    Raises:
        OSError: it cannot be read.
        MediaError: as `series`.
    """
    pictures = series(path)
    if pictures is None:
        return keys.sha256_file(path)
    lines = [f"{keys.sha256_file(file)}  {file.name}\n" for file in sorted(pictures, key=lambda file: file.name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def open_video(path: str | Path, rate: float | Fraction | None = None, decoder: Decoder = "exact") -> VideoSource:
    """A video file or a series of pictures, to be entered.

    Args:
        path: file, folder or pattern.
        rate: frames per second of a series; of no meaning for a file, which states its own.
        decoder: who reads the pictures of a series, FFmpeg ("exact") or OpenCV: they decode JPEG differently.

    Raises:
        MediaError: there is no such thing.
    """
    pictures = series(path)
    if pictures is None:
        return VideoSource(path)
    return PictureSource(Path(path), pictures, DEFAULT_RATE if rate is None else as_rate(rate), decoder)


class PictureSource(VideoSource):
    """A series of pictures behind the methods of a video file; `container` and `stream` are those of the first one."""

    def __init__(self, path: Path, pictures: Sequence[Path], rate: Fraction, decoder: Decoder = "exact") -> None:
        super().__init__(pictures[0])
        self.path, self._pictures, self._step = path, pictures, 1 / rate
        self._decoded = _by_opencv if decoder == "opencv" else _by_ffmpeg

    def _open(self) -> None:
        path, self.path = self.path, self._pictures[0]
        try:
            super()._open()
        finally:
            self.path = path

    @cached_property
    def first(self) -> VideoFrame:
        """The first picture."""
        return self._picture(0)

    @cached_property
    def zero(self) -> Fraction:
        """A series begins at 0."""
        return Fraction(0)

    @cached_property
    def rate(self) -> Fraction:
        """The rate that was given."""
        return 1 / self._step

    def frames(self, from_s: Fraction = Fraction(0)) -> Iterator[TimedFrame]:
        """As `VideoSource.frames`."""
        end = len(self._pictures) * self._step
        if end <= from_s:
            raise TooShort(
                f"cannot start at {float(from_s):g} s of {self.path}",
                f"its {len(self._pictures)} pictures end at {float(end):.3f} s",
                "choose an earlier start",
            )
        for i in range(int(from_s / self._step), len(self._pictures)):
            yield TimedFrame(self._picture(i), i * self._step, (i + 1) * self._step)

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Pictures are no packets of one stream.

        Raises:
            MediaError: always.
        """
        raise MediaError(f"cannot copy {self.path} undecoded", "it is a series of pictures", "encode it to a video")

    def times(self, until_s: Fraction | None = None) -> tuple[list[Fraction], Fraction]:
        """As `VideoSource.times`."""
        times = [i * self._step for i in range(len(self._pictures))]
        times = [at for at in times if until_s is None or at <= until_s]
        return times, times[-1] + self._step

    def check_complete(self, end: Fraction | None) -> None:
        """What is missing of a series is found when it is opened."""

    def _picture(self, i: int) -> VideoFrame:
        frame = self._decoded(self._pictures[i])
        self._check_size(frame)
        frame.pts, frame.time_base = i, self._step
        return frame


def _by_ffmpeg(picture: Path) -> VideoFrame:
    with VideoSource(picture) as source:
        return source.first


def _by_opencv(picture: Path) -> VideoFrame:
    import cv2  # plans do without

    bgr = cv2.imread(str(picture), cv2.IMREAD_COLOR)
    if bgr is None:
        raise MediaError(f"cannot read {picture}", "OpenCV takes it for no picture", "make it again")
    return VideoFrame.from_ndarray(np.asarray(bgr, np.uint8), format="bgr24")
