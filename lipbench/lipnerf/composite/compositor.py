"""The compositor: source frame, rendered head, gap, fill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lipbench.core.errors import UsageError
from lipbench.faces.parsing import Label, Parsing, Plate
from lipbench.lipnerf.composite import gap as gaps
from lipbench.lipnerf.composite import matte as mattes
from lipbench.lipnerf.composite.inpaint import Inpainter, TeleaInpainter, around, body, match, over
from lipbench.lipnerf.composite.options import CompositeOptions, Render
from lipbench.lipnerf.composite.temporal import TemporalInpainter

AROUND = 24  # px about a gap from whose colors its plate is brought to the frame's light


@dataclass(frozen=True)
class Layers:
    """One composited frame and what it was made of, all in the source's size.

    Attributes:
        image: (H, W, 3) uint8, the result.
        matte: (H, W) float32, how much of the rendered head shows.
        gap: (H, W) bool, source head pixels left open.
        neck: those of them filled as neck or shoulders.
        behind: (H, W, 3) uint8, what the head lies over.
    """

    image: NDArray[np.uint8]
    matte: NDArray[np.float32]
    gap: NDArray[np.bool_]
    neck: NDArray[np.bool_]
    behind: NDArray[np.uint8]


@dataclass(frozen=True)
class _PlacedRender:
    """A render in the source's pixels, inside a window."""

    s: int
    window: mattes.Window
    colors: NDArray[np.float32]
    matte: NDArray[np.float32]
    gap: NDArray[np.bool_]
    hole: NDArray[np.bool_]  # (H, W), whole frame: neighbors have other windows


@dataclass(frozen=True)
class _ComposedFrame:
    """A finished frame; inside the window what lies behind the head (float, 0..255), and where that is neck."""

    image: NDArray[np.uint8]
    back: NDArray[np.float32]
    neck: NDArray[np.bool_]


class Compositor:
    """Puts rendered heads into a clip.

    Pixels farther from source head and rendered head than the feather are the source's, bit for bit.

    Args:
        frames: (T, H, W, 3) uint8 RGB of the source clip.
        parsing: its labels.
        plate: what is behind the person, see `lipbench.faces.parsing.clean_plate`.
        options: see `CompositeOptions`.
        inpainter: used instead of the one that the options name.

    Raises:
        UsageError: frames and labels do not belong together.
        WeightsMissing, WeightsMismatch, WeightsError: `inpainter="gated"` without usable weights.
    """

    def __init__(
        self,
        frames: NDArray[np.uint8],
        parsing: Parsing,
        plate: Plate,
        options: CompositeOptions | None = None,
        inpainter: Inpainter | None = None,
    ) -> None:
        if frames.shape[:3] != parsing.labels.shape:
            raise UsageError(
                f"frames {frames.shape[:3]} and labels {parsing.labels.shape} do not belong together",
                "they differ in length or size",
                "parse the clip that is composited",
            )
        self.frames, self.parsing, self.plate = frames, parsing, plate
        self.options = options or CompositeOptions()
        self.inpainter = inpainter or _named(self.options, frames, parsing)
        areas = [int((labels == Label.HEAD).sum()) for labels in parsing.labels[:: max(1, len(frames) // 16)]]
        size = float(np.sqrt(np.median(areas)))
        self.reach = max(self.options.reach * size, 4.0)
        self.fade = 0.03 * size + 1

    def frame(
        self,
        s: int,
        rgb: NDArray[np.floating],
        alpha: NDArray[np.floating],
        box: tuple[int, int, int, int] | None = None,
    ) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: source frame `s` with a rendered head; see `Render` for the other arguments."""
        return self._finish(self._place(Render(s, rgb, alpha, box)), []).image

    def layers(self, render: Render) -> Layers:
        """The frame with its parts, for images of how it came about."""
        placed = self._place(render)
        made = self._finish(placed, [])
        x0, y0, x1, y1 = placed.window
        view = (slice(y0, y1), slice(x0, x1))
        size = made.image.shape[:2]
        matte, gap, neck = np.zeros(size, np.float32), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        matte[view], gap[view], neck[view] = placed.matte, placed.gap, made.neck & placed.gap
        behind = self.frames[placed.s].copy()
        behind[view] = np.clip(made.back + 0.5, 0, 255).astype(np.uint8)
        return Layers(made.image, matte, gap, neck, behind)

    def video(self, renders: Iterable[Render]) -> Iterator[NDArray[np.uint8]]:
        """Frames of a whole dub in order, the gap steadied over `gap_smoothing` frames; holds three renders."""
        if self.options.gap_smoothing == 1:
            for render in renders:
                yield self._finish(self._place(render), []).image
            return
        before: _PlacedRender | None = None
        now: _PlacedRender | None = None
        for render in renders:
            after = self._place(render)
            if now is not None:
                yield self._finish(now, [p.hole for p in (before, after) if p is not None]).image
            before, now = now, after
        if now is not None:
            yield self._finish(now, [before.hole] if before is not None else []).image

    def _place(self, render: Render) -> _PlacedRender:
        labels = self.parsing.labels[render.s]
        height, width = labels.shape
        head = labels == Label.HEAD
        window = self._window(head, render.view)
        x0, y0, x1, y1 = window
        open_head = head[y0:y1, x0:x1]
        colors, alpha = mattes.place(render, window, (height, width))
        colors = mattes.straight(colors, alpha)
        matte = mattes.within(mattes.leveled(alpha, self.options.levels), open_head, self.reach)
        matte = mattes.feathered(matte, self.options.feather_px)
        matte[matte < 1 / 512] = 0
        gap = gaps.uncovered(open_head, matte, self.options.threshold)
        whole = np.zeros((height, width), np.bool_)
        if self.inpainter is not None:
            whole[y0:y1, x0:x1] = gaps.hole(gap, matte)
        return _PlacedRender(render.s, window, colors, matte, gap, whole)

    def _window(self, head: NDArray[np.bool_], view: mattes.Window | None) -> mattes.Window:
        """The source's head with everything that can change around it; of that what can change in a view."""
        height, width = head.shape
        margin = int(np.ceil(self.reach + 4 * self.options.feather_px)) + 8
        boxes = [(0, 0, width, height)]
        if head.any():
            rows, columns = np.flatnonzero(head.any(1)), np.flatnonzero(head.any(0))
            boxes.append(_grown((int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1), margin))
        if view is not None:  # a gap there is filled from what is about it
            boxes.append(_grown(view, max(margin, AROUND + 8)))
        x0, y0, x1, y1 = zip(*boxes, strict=True)
        left, top = min(max(x0), width - 1), min(max(y0), height - 1)
        return left, top, max(min(x1), left + 1), max(min(y1), top + 1)

    def _finish(self, placed: _PlacedRender, neighbors: list[NDArray[np.bool_]]) -> _ComposedFrame:
        x0, y0, x1, y1 = placed.window
        view = (slice(y0, y1), slice(x0, x1))
        frame = self.frames[placed.s]
        source = frame[view].astype(np.float32)
        matte = placed.matte[..., None]
        back, neck = source, np.zeros(placed.gap.shape, np.bool_)
        share = np.zeros(placed.gap.shape, np.float32)
        if self.inpainter is not None:
            share = gaps.weight(placed.hole[view], [n[view] for n in neighbors])
            share[share < 1 / 512] = 0
        if share.any():
            filled, neck = self._fill(placed, share > 0, source)
            back = source + share[..., None] * (filled.astype(np.float32) - source)
        mixed = matte * placed.colors
        mixed *= 255
        mixed += (1 - matte) * back
        mixed += 0.5
        changed = (placed.matte > 0) | (share > 0)
        image = frame.copy()
        made = np.clip(mixed, 0, 255, out=mixed).astype(np.uint8)
        image[view] = cv2.copyTo(made, changed.view(np.uint8), image[view])
        return _ComposedFrame(image, back, neck)

    def _fill(
        self, placed: _PlacedRender, hole: NDArray[np.bool_], source: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """The window's source with its hole filled, and where as neck or shoulders."""
        assert self.inpainter is not None
        x0, y0, x1, y1 = placed.window
        view = (slice(y0, y1), slice(x0, x1))
        labels = self.parsing.labels[placed.s][view]
        frame = self.frames[placed.s]
        body_behind = body(gaps.behind(labels))
        clean = ~hole & (cv2.dilate((labels == Label.HEAD).astype(np.uint8), np.ones((5, 5), np.uint8)) == 0)
        out = frame[view]
        rim = hole & ~body_behind
        if rim.any():
            part = around(rim, AROUND)
            assert part is not None
            plate = self.plate.frame(placed.s)[view][part].astype(np.float32)
            out = out.copy()
            clear = clean & (labels == Label.BACKGROUND)
            out[part] = match(plate, out[part], rim[part], clear[part], self.fade)
        neck = hole & body_behind
        if neck.any():
            matte = placed.matte[..., None]
            shown = matte * placed.colors * 255 + (1 - matte) * out
            image, wide, trusted = frame.copy(), *(np.zeros(frame.shape[:2], np.bool_) for _ in range(2))
            image[view] = np.clip(shown + 0.5, 0, 255).astype(np.uint8)
            wide[view], trusted[view] = neck, clean & body(labels) & (placed.matte == 0)
            out = over(out, self.inpainter.fill(placed.s, image, wide, trusted)[view], neck)
        return out, neck


def _grown(box: mattes.Window, margin: int) -> mattes.Window:
    x0, y0, x1, y1 = box
    return x0 - margin, y0 - margin, x1 + margin, y1 + margin


def _named(options: CompositeOptions, frames: NDArray[np.uint8], parsing: Parsing) -> Inpainter | None:
    """The inpainter that the options name; None for "none".

    Raises:
        WeightsMissing, WeightsMismatch, WeightsError: "gated" without usable weights.
    """
    if options.inpainter == "none":
        return None
    if options.inpainter == "telea":
        return TeleaInpainter()
    if options.inpainter == "gated":
        from lipbench.lipnerf.composite.gated_inpainter import GatedInpainter

        return GatedInpainter(options.weights)
    if options.inpainter == "temporal":
        return TemporalInpainter(frames, parsing)
    raise UsageError(f"no inpainter is called {options.inpainter!r}", "", "see CompositeOptions.inpainter")
