"""One labelled video per dub with every method in it, side by side and in step: supplementary material."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench import media
from lipbench.core.errors import NothingComparable
from lipbench.core.registry import unknown
from lipbench.reports import plain
from lipbench.reports.details import Details
from lipbench.reports.html.grid import GridRow, Tile, grid
from lipbench.reports.html.videos import free_names

Frame = NDArray[np.uint8]

#: px.
HEIGHT, BAR, GAP = 360, 34, 6
#: Pictures in a line at most.
COLUMNS = 4
#: x264's quality: visually lossless, and players everywhere take it.
CRF = 16
BACKGROUND, INK, SOFT = (16, 19, 24), (232, 234, 238), (163, 171, 184)


@dataclass(frozen=True)
class SideBySide:
    """A video that was written.

    Attributes:
        path: the file, `clip_language.mp4`.
        titles: what stands in it, in reading order.
        missing: (title, why) of rows without a video; their place says so.
    """

    path: Path
    titles: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


def write(
    details: Details,
    out: Path,
    *,
    clips: Sequence[str] = (),
    languages: Sequence[str] = (),
    methods: Sequence[str] = (),
    height: int = HEIGHT,
    columns: int = COLUMNS,
    log: Callable[[str], None] = lambda line: None,
) -> list[SideBySide]:
    """Write a video for every clip and dub of a run.

    Args:
        out: folder.
        clips: glob patterns; all when empty.
        languages: all when empty.
        methods: labels, in this order; the source and the correct video lead as "source" and "truth", where they are
            wanted. All when empty.
        height: of each picture, px.
        columns: pictures in a line.
        log: hears progress.

    Raises:
        UnknownName: no such language or method.
        NothingComparable: no dub, or no video, is left.
    """
    _check("languages", languages, {cell["language"] for cell in details.cells})
    _check("methods", methods, {*details.run.methods, "truth", "source"})
    rows = [
        row
        for row in grid(details, [], [])
        if (not clips or any(fnmatchcase(row.clip, pattern) for pattern in clips))
        and (not languages or row.language in languages)
    ]
    every = [(row, _tiles(row, methods)) for row in rows]
    chosen = [(row, tiles) for row, tiles in every if any(tile.video for tile in tiles)]
    if not chosen:
        raise NothingComparable("there is nothing to show", "no video is left", "choose other clips, or run it (again)")
    names = free_names([row.name for row, _ in chosen])
    made = []
    for number, ((row, tiles), name) in enumerate(zip(chosen, names, strict=True), 1):
        log(f"{number} of {len(chosen)}: {row.title}")
        made.append(_write(row, tiles, out / f"{name}.mp4", height, columns))
    return made


def _check(what: str, wanted: Sequence[str], known: set[str]) -> None:
    for name in wanted:
        if name not in known:
            raise unknown(what, name, sorted(known))


def _tiles(row: GridRow, methods: Sequence[str]) -> list[Tile]:
    if not methods:
        return list(row.tiles)
    return [tile for name in methods for tile in row.tiles if name in (tile.method, tile.role)]


def _write(row: GridRow, tiles: Sequence[Tile], path: Path, height: int, columns: int) -> SideBySide:
    videos = [tile.video for tile in tiles if tile.video is not None]
    about = [media.probe(video) for video in videos]
    n_frames, fps = min(info.n_frames for info in about), about[0].fps
    width = 2 * round(max(info.width / info.height for info in about) * height / 2)
    sheet = _Sheet(row.title, tiles, width, height, min(columns, len(tiles)))
    path.parent.mkdir(parents=True, exist_ok=True)
    streams = [None if tile.video is None else media.read_frames(tile.video) for tile in tiles]
    with media.VideoWriter(
        path, fps=fps, width=sheet.width, height=sheet.height, audio=videos[0], crf=CRF, synthetic=True
    ) as writer:
        for _ in range(n_frames):
            writer.write(sheet.frame([None if stream is None else next(stream) for stream in streams]))
    missing = tuple((tile.title, tile.why) for tile in tiles if tile.video is None)
    return SideBySide(path, tuple(tile.title for tile in tiles), missing)


class _Sheet:
    """Where everything stands in a frame; words are drawn once."""

    def __init__(self, title: str, tiles: Sequence[Tile], width: int, height: int, columns: int) -> None:
        self.size = (width, height)
        lines = math.ceil(len(tiles) / columns)
        self.width = 2 * math.ceil((columns * (width + GAP) + GAP) / 2)
        self.height = 2 * math.ceil((BAR + lines * (height + BAR + GAP)) / 2)
        self.corners = [
            (GAP + i % columns * (width + GAP), BAR + BAR + i // columns * (height + BAR + GAP))
            for i in range(len(tiles))
        ]
        self.empty = np.full((self.height, self.width, 3), BACKGROUND, np.uint8)
        self._words(title, GAP, 0, self.width - 2 * GAP, SOFT)
        for tile, (x, y) in zip(tiles, self.corners, strict=True):
            self._words(tile.title, x, y - BAR, width, INK if tile.kind == "method" else SOFT)
            if tile.video is None:
                self._words(f"no video: {plain.reason(tile.why, 60)}", x, y + height // 2, width, SOFT)

    def _words(self, text: str, x: int, y: int, width: int, color: tuple[int, int, int]) -> None:
        """A line of text in a bar, as small as it has to be and shortened where that is too small to read."""
        from PIL import Image, ImageDraw, ImageFont

        size = 20
        flat = " ".join(text.split())
        while (font := ImageFont.truetype(_font(), size)).getlength(flat) > width and size > 12:
            size -= 1
        while len(flat) > 1 and font.getlength(flat) > width:
            flat = flat[:-2].rstrip() + "…"
        bar = Image.fromarray(self.empty[y : y + BAR, x : x + width])
        ImageDraw.Draw(bar).text((0, BAR / 2), flat, fill=color, font=font, anchor="lm")
        self.empty[y : y + BAR, x : x + width] = np.asarray(bar)

    def frame(self, pictures: Sequence[Frame | None]) -> Frame:
        """(H, W, 3) of one moment; None leaves a place empty."""
        import cv2

        out = self.empty.copy()
        for picture, (x, y) in zip(pictures, self.corners, strict=True):
            if picture is None:
                continue
            scale = min(self.size[0] / picture.shape[1], self.size[1] / picture.shape[0])
            size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
            fitted = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
            left, top = x + (self.size[0] - size[0]) // 2, y + (self.size[1] - size[1]) // 2
            out[top : top + size[1], left : left + size[0]] = fitted
        return out


def _font() -> str:
    """The letters that come with matplotlib: they know phonetic signs and most alphabets."""
    from matplotlib.font_manager import findfont

    return str(findfont("DejaVu Sans"))
