"""The shots of a film to look at: three frames of each, who is in them, and what speaks against it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.atomic import atomic_write
from lipbench.datasets.film.shots import ShotFacts
from lipbench.datasets.film.shots_file import ShotEntry
from lipbench.datasets.film.shots_people import Verdict

#: Shots in a row and rows on a page.
COLUMNS, ROWS = 2, 15
STILL = (200, 112)
EDGE, LINE = 8, 17
#: Colors of people, RGB: the Tol bright scheme, which the color blind tell apart; later people begin anew.
COLORS = ((68, 119, 170), (238, 102, 119), (34, 136, 51), (204, 187, 68), (102, 204, 238), (170, 51, 119))
UNKNOWN, INK, PAPER, YES, NO = (150, 150, 150), (30, 30, 30), (255, 255, 255), (20, 120, 50), (190, 40, 30)
Image = NDArray[np.uint8]


def write_sheet(
    path: Path, shots: Sequence[ShotFacts], verdicts: Sequence[Verdict], entries: Sequence[ShotEntry]
) -> list[Path]:
    """Write the contact sheet; of more than 30 shots as pages, the second beside the first as NAME-2.

    Args:
        path: .jpg or .png.
        shots: the stills of each.
        verdicts: the people of each shot's faces.
        entries: what is written about each in the shots file.

    Raises:
        DiskFull: no space left.
    """
    cells = [_cell(*one) for one in zip(shots, verdicts, entries, strict=True)]
    per_page, pages = COLUMNS * ROWS, []
    for first in range(0, max(len(cells), 1), per_page):
        page = path if first == 0 else path.with_name(f"{path.stem}-{first // per_page + 1}{path.suffix}")
        done, data = cv2.imencode(path.suffix, cv2.cvtColor(_page(cells[first : first + per_page]), cv2.COLOR_RGB2BGR))
        assert done
        with atomic_write(page) as draft:
            draft.write_bytes(bytes(data))
        pages.append(page)
    return pages


def _page(cells: Sequence[Image]) -> Image:
    h, w = _height(), _width()
    rows = -(-len(cells) // COLUMNS) or 1
    page = np.full((EDGE + rows * (h + EDGE), EDGE + COLUMNS * (w + EDGE), 3), PAPER, np.uint8)
    for k, cell in enumerate(cells):
        # Down the first column, then down the second: the film's order is read as a list.
        y, x = EDGE + (k % rows) * (h + EDGE), EDGE + (k // rows) * (w + EDGE)
        page[y : y + h, x : x + w] = cell
    return page


def _width() -> int:
    return 3 * STILL[0] + 2 * 2


def _height() -> int:
    return STILL[1] + 2 * LINE + 4


def _cell(shot: ShotFacts, verdict: Verdict, entry: ShotEntry) -> Image:
    cell = np.full((_height(), _width(), 3), PAPER, np.uint8)
    for k, still in enumerate(shot.stills[:3]):
        image = np.asarray(cv2.imdecode(np.frombuffer(still, np.uint8), cv2.IMREAD_COLOR), np.uint8)
        picture = np.asarray(cv2.cvtColor(_fitted(image), cv2.COLOR_BGR2RGB), np.uint8)
        x = k * (STILL[0] + 2)
        view = cell[: STILL[1], x : x + STILL[0]]
        view[:] = picture
        scale = _scale(image)
        for who, face in zip(verdict.faces, shot.faces, strict=True):
            if k in face.boxes:
                _frame(view, who, face.boxes[k], (image.shape[1] * scale, image.shape[0] * scale))
    used = entry.use == "yes"
    first = (
        f"{entry.n}  {_clock(entry.start)}  {entry.end - entry.start:.1f} s  {entry.into}  "
        f"{' '.join(entry.people) or 'nobody'}"
    )
    if entry.speaking is not None:
        first += f"  speaks {entry.speaking:.0%}"
    camera = {"static": "static", "moves": "moves", "cannot tell": "camera ?"}[entry.camera]
    first += f"  {camera}" + ("" if entry.light_stops is None else f"  light {entry.light_stops:.1f}")
    second = "used" if used else "not used: " + "; ".join(entry.why or ("by hand",))
    if entry.by == "hand":
        second += "  (by hand)"
    _write(cell, first, STILL[1] + LINE - 3, INK)
    _write(cell, second, STILL[1] + 2 * LINE - 3, YES if used else NO)
    return cell


def _scale(image: Image) -> float:
    return min(STILL[0] / image.shape[1], STILL[1] / image.shape[0])


def _fitted(image: Image) -> Image:
    """The picture within a still's size, on black."""
    scale = _scale(image)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    out = np.zeros((STILL[1], STILL[0], 3), np.uint8)
    y, x = (STILL[1] - size[1]) // 2, (STILL[0] - size[0]) // 2
    out[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return out


def _frame(view: Image, who: str, box: tuple[float, float, float, float], size: tuple[float, float]) -> None:
    """Draw a face's box and its person's letter into a still."""
    dx, dy = (STILL[0] - size[0]) / 2, (STILL[1] - size[1]) / 2
    x1, y1, x2, y2 = (
        round(v) for v in (dx + box[0] * size[0], dy + box[1] * size[1], dx + box[2] * size[0], dy + box[3] * size[1])
    )
    color = color_of(who)
    picture = np.ascontiguousarray(view)
    cv2.rectangle(picture, (x1, y1), (x2, y2), color, 2)
    if who:
        at = (min(max(x1, 0), STILL[0] - 14), max(y1 - 4, 12))
        for ink, thick in (((255, 255, 255), 3), (color, 1)):
            cv2.putText(picture, who, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, ink, thick, cv2.LINE_AA)
    view[:] = picture


def color_of(who: str) -> tuple[int, int, int]:
    """The color of a person, by letter."""
    number = 0
    for letter in who:
        number = number * 26 + ord(letter) - ord("A") + 1
    return COLORS[(number - 1) % len(COLORS)] if who else UNKNOWN


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes // 60):02d}:{int(minutes % 60):02d}:{rest:05.2f}"


def _write(cell: Image, text: str, y: int, ink: tuple[int, int, int]) -> None:
    room, size = cell.shape[1] - 4, 0.42
    while cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0] > room and len(text) > 4:
        text = text[:-4] + "..."
    cv2.putText(cell, text, (2, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
