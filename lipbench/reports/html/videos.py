"""Videos as a page can show them: re-encoded small, with a poster, and below a byte budget when they go into the page.

A run's videos are lossless H.264 (profile High 4:4:4), which phones and some browsers do not play, so every video is
encoded again; numbers in the page were measured on the originals.
"""

from __future__ import annotations

import base64
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from lipbench import media
from lipbench.core import keys
from lipbench.core.atomic import write_json


@dataclass(frozen=True)
class Quality:
    """How a preview is encoded: longer side in px (0: as it is), x264 crf."""

    side: int
    crf: int

    @property
    def words(self) -> str:
        return f"crf {self.crf}" + (f", at most {self.side} px" if self.side else "")


FOLDER = Quality(0, 18)
#: Of a single file, in the order tried.
SINGLE = (Quality(360, 28), Quality(256, 32), Quality(192, 36))
POSTER = Quality(240, 0)
#: base64 needs 4 characters for 3 bytes.
INFLATION = 4 / 3
#: Seconds between two lines of a counter.
EVERY_S = 2.0

Item = TypeVar("Item")


@dataclass(frozen=True)
class Preview:
    """A video made ready.

    Attributes:
        video: encoded file; None when it was left out.
        poster: jpeg bytes of the middle frame.
        width: of the original.
        height: of the original.
        n_frames: of the original.
        fps: of the original.
    """

    video: Path | None
    poster: bytes
    width: int
    height: int
    n_frames: int
    fps: float

    @property
    def size(self) -> int:
        """Bytes of the video."""
        return 0 if self.video is None else self.video.stat().st_size


@dataclass(frozen=True)
class Album:
    """Previews of many videos.

    Attributes:
        previews: source path -> preview.
        quality: what was used.
        left_out: sources without a video, for the budget.
        size: bytes of the videos, encoded.
    """

    previews: Mapping[Path, Preview]
    quality: Quality
    left_out: tuple[Path, ...]
    size: int


def folder(names: Mapping[Path, str], out: Path, log: Callable[[str], None]) -> Album:
    """Every source as a file below `out`; those that are there from an earlier report stay.

    Args:
        names: source -> the file's name, without its suffix; each name once.
    """
    log(f"encoding {len(names)} videos for the page")
    media_folder = Folder(out)
    previews = {
        source: media_folder.preview(source, name, FOLDER) for source, name in counted([*names.items()], "video", log)
    }
    return Album(previews, FOLDER, (), sum(p.size for p in previews.values()))


def named(wanted: Iterable[tuple[Path, str]]) -> dict[Path, str]:
    """Source -> a name of its own; the first wish of a source counts."""
    first: dict[Path, str] = {}
    for source, name in wanted:
        first.setdefault(source, name)
    return dict(zip(first, free_names([*first.values()]), strict=True))


def free_names(wanted: Sequence[str]) -> list[str]:
    """The same names, each once: what two want to be called gets a number. Some disks tell no case."""
    taken: set[str] = set()
    found = []
    for name in wanted:
        number, free = 1, name
        while free.lower() in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free.lower())
        found.append(free)
    return found


def budgeted(
    rows: Sequence[Sequence[Path]], names: Mapping[Path, str], out: Path, budget: int, log: Callable[[str], None]
) -> Album:
    """Rows of videos below `budget` bytes as base64: first all of them smaller, then the last rows left out.

    The videos of a row share one dub, and only the first is ever heard: the others go without audio.

    Args:
        rows: videos that are shown together, most important first; a row is in or out as a whole.
        names: source -> name of its file.
        out: scratch folder.
        budget: bytes of page that videos and posters may take.
    """
    every = list(dict.fromkeys(path for row in rows for path in row))
    scratch = Folder(out)
    posters = {source: scratch.preview(source, names[source], None) for source in counted(every, "poster", log)}
    room = budget / INFLATION - sum(len(p.poster) for p in posters.values())
    for quality in SINGLE:
        last = quality is SINGLE[-1]
        made: dict[Path, Preview] = {}
        used = 0
        log(f"encoding {len(every)} videos ({quality.words})")
        for row in counted(rows, "row", log):
            fresh = {s: scratch.preview(s, names[s], quality, s == row[0]) for s in row if s not in made}
            size = sum(p.size for p in fresh.values())
            # Rows are much alike: when the first ones say that it cannot fit, the next quality is tried at once.
            if used + size > room or (
                not last and made and (used + size) / (len(made) + len(fresh)) * len(every) > room
            ):
                break
            made |= fresh
            used += size
        else:
            return Album(made, quality, (), used)
        if last:
            left_out = tuple(s for s in every if s not in made)
            return Album({**posters, **made}, quality, left_out, used)
    raise AssertionError("unreachable: the last quality returns")


def counted(items: Sequence[Item], what: str, log: Callable[[str], None]) -> Iterator[Item]:
    """The items, with a line every few seconds on how many of them are done: "video 120 of 2,500"."""
    told = time.monotonic()
    for number, item in enumerate(items):
        if time.monotonic() - told >= EVERY_S:
            told = time.monotonic()
            log(f"{what} {number:,} of {len(items):,}")
        yield item


class Folder:
    """Encoded videos and posters in a folder, under names for people; what they were made of stands in INDEX.

    Another report of the same run finds what the first one made, also where a video was made anew under its name.
    """

    INDEX = "index.json"

    def __init__(self, out: Path) -> None:
        self.out = out
        try:
            known = json.loads((out / self.INDEX).read_text(encoding="utf-8"))
            self.made: dict[str, str] = {str(k): str(v) for k, v in known.items()}
        except (OSError, ValueError, AttributeError):
            self.made = {}

    def preview(self, source: Path, name: str, quality: Quality | None, sound: bool = True) -> Preview:
        """Encode one video as NAME.mp4 with the poster NAME.jpg (quality None: the poster only)."""
        info = media.probe(source)
        self.out.mkdir(parents=True, exist_ok=True)
        digest = keys.sha256_file(source)[:20]
        poster = self.out / f"{name}.jpg"
        if not self._has(poster, digest):
            middle = (info.n_frames // 2) / float(info.fps)
            frame = next(iter(media.read_frames(source, start_s=middle)))
            poster.write_bytes(_jpeg(shrink(frame, POSTER.side)))
            self._keep(poster, digest)
        video = None
        if quality is not None:
            video = self.out / f"{name}.mp4"
            what = f"{digest} {quality.side} {quality.crf}{'' if sound else ' mute'}"
            if not self._has(video, what):
                _encode(source, video, info, quality, sound)
                self._keep(video, what)
        return Preview(video, poster.read_bytes(), info.width, info.height, info.n_frames, float(info.fps))

    def _has(self, file: Path, what: str) -> bool:
        return self.made.get(file.name) == what and file.exists()

    def _keep(self, file: Path, what: str) -> None:
        self.made[file.name] = what
        write_json(self.out / self.INDEX, self.made)


def _encode(source: Path, video: Path, info: media.MediaInfo, quality: Quality, sound: bool) -> None:
    width, height = fitted(info.width, info.height, quality.side)
    audio = source if sound and info.audio is not None else None
    with media.VideoWriter(
        video,
        fps=info.fps,
        width=width,
        height=height,
        audio=audio,
        crf=quality.crf,
        synthetic=media.is_synthetic(source),
    ) as writer:
        for frame in media.read_frames(source):
            writer.write(_resized(frame, width, height))


def fitted(width: int, height: int, side: int) -> tuple[int, int]:
    """Even width and height with the longer side at most `side` px (0: no limit), the shape kept."""
    scale = min(1.0, side / max(width, height)) if side else 1.0
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def shrink(frame: np.ndarray, side: int) -> np.ndarray:
    """(H, W, 3) -> at most `side` px on its longer side."""
    return _resized(frame, *fitted(frame.shape[1], frame.shape[0], side))


def _resized(frame: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2

    if frame.shape[:2] == (height, width):
        return frame
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA))


def _jpeg(frame: np.ndarray) -> bytes:
    import cv2

    good, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    assert good
    return bytes(data)


def data_uri(data: bytes, kind: str) -> str:
    """Bytes as a data: address."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def megabytes(size: float) -> str:
    """ "3.2 MB"."""
    return f"{size / 1e6:.1f} MB" if size < 99.5e6 else f"{math.ceil(size / 1e6)} MB"
