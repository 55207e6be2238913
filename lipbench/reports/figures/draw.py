"""A contact sheet on paper: images in rows, sounds above the columns, methods at the left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lipbench.reports.figures.types import Sheet
from lipbench.reports.plots import figure, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Inches.
WIDTH, HEAD, FOOT, GAP = 7.2, 0.42, 0.06, 0.03
#: Characters of a method's name at the left.
TITLE = 28


def draw(sheet: Sheet, width: float = WIDTH) -> Figure:
    """The sheet `width` inches wide; images keep their shape, labels are text (pdf and svg stay searchable).

    What is missing stands in `sheet.notes`, for whoever writes the caption: an image for a paper has no errors in it.
    """
    n = len(sheet.columns)
    titles = [words(row.title, TITLE) for row in sheet.rows]
    left = 0.15 + 0.085 * max(map(len, titles), default=0)
    cell = (width - left - FOOT - GAP * (n - 1)) / n
    shapes = [next((p.shape for p in row.images if p is not None), (1, 1)) for row in sheet.rows]
    heights = [cell * shape[0] / shape[1] for shape in shapes]
    height = HEAD + sum(heights) + GAP * len(heights) + FOOT
    fig = figure(width, height)
    fig.text(FOOT / width, 1 - 0.04 / height, _short(sheet.title, width), fontsize=8, va="top")
    top = height - HEAD
    for r, row in enumerate(sheet.rows):
        bottom = top - heights[r]
        fig.text((left - 0.08) / width, (top + bottom) / 2 / height, titles[r], fontsize=8, ha="right", va="center")
        for c, image in enumerate(row.images):
            x = left + c * (cell + GAP)
            axes = fig.add_axes((x / width, bottom / height, cell / width, heights[r] / height))
            axes.set_axis_off()
            if image is not None:
                axes.imshow(image, aspect="auto", interpolation="lanczos")
            if r == 0:
                at = ((x + cell / 2) / width, (top + 0.03) / height)
                fig.text(*at, words(sheet.columns[c].label), fontsize=10, ha="center", va="bottom")
        top = bottom - GAP
    return fig


def _short(text: str, width: float) -> str:
    """As much of a line as fits."""
    room = int(width * 15)
    return words(text if len(text) <= room else text[: room - 1].rstrip() + "…", room)
