"""The picture that an alignment is judged by: a panel for each piece, offsets in milliseconds around its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench.datasets.film.alignment import Alignment
from lipbench.datasets.film.by_sounds import FINEST_MS
from lipbench.datasets.film.rates import rate_words
from lipbench.datasets.film.times import clock
from lipbench.media.atomic import atomic_path, writing

if TYPE_CHECKING:
    from lipbench.datasets.film.alignment import Piece

#: What a panel shows above and below its offset, ms; where offsets are coarse, the other.
SHARP_MS, COARSE_MS = 1.0, 60.0

#: Panels of a dub; a film in more pieces than that needs another look first.
MOST = 12


def plot(found: dict[str, Alignment], path: Path) -> Path:
    """Write a PNG: for each dub a row of all offsets over the film, then a panel a piece.

    Args:
        found: language -> alignment, as measured.
        path: the PNG.

    Raises:
        MediaError, DiskFull: it cannot be written.
    """
    from matplotlib.figure import Figure

    rows: list[tuple[str, Alignment, Piece | None]] = []
    for language, one in found.items():
        rows.append((language, one, None))
        rows.extend((language, one, piece) for piece in one.pieces[:MOST])
    figure = Figure(figsize=(10, 1.9 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axis, (language, one, piece) in zip(axes, rows, strict=True):
        if piece is None:
            _overview(axis, language, one)
        else:
            _panel(axis, one, piece)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[-1].set_xlabel("film, s", fontsize=8)
    with atomic_path(path) as temporary, writing(path):
        figure.savefig(temporary, dpi=100, format="png")
    return path


def _overview(axis: Any, language: str, one: Alignment) -> None:
    verdict = one.verdict if not one.why else f"{one.verdict}: {one.why}"
    pieces = f"{len(one.pieces)} piece{'s' if len(one.pieces) != 1 else ''}"
    words = [rate_words(one.rate, None if one.pitch is None else one.pitch == "moved"), pieces, verdict]
    axis.set_title(f"{language}   " + "; ".join(words), fontsize=9, loc="left", fontweight="bold", wrap=True)
    axis.scatter(
        [s.middle for s in one.steps], [s.offset for s in one.steps], s=9, c="#9db4c0", label="stretches of 20 s"
    )
    if one.sharp:
        axis.scatter([t for t, _ in one.sounds], [o for _, o in one.sounds], s=5, c="#1b4965", label="single sounds")
    for piece in one.pieces:
        axis.plot([piece.start, piece.end], [piece.offset] * 2, color="#d1495b", lw=1.2)
    low, high = axis.get_ylim()
    pad = max(0.1 - (high - low), 0.0) / 2  # a tenth of a second at least: rounding is no drift
    axis.set_ylim(low - pad, high + pad)
    axis.set_xlim(0, max(one.film_s, 1))
    axis.set_ylabel("offset, s", fontsize=8)
    if one.steps or one.sounds:
        axis.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _panel(axis: Any, one: Alignment, piece: Piece) -> None:
    half = SHARP_MS if one.sharp else COARSE_MS
    points = one.sounds if one.sharp else tuple((s.middle, s.offset) for s in one.steps)
    inside = [(t, 1000 * (o - piece.offset)) for t, o in points if piece.start <= t < piece.end]
    near = [(t, o) for t, o in inside if abs(o) <= half]
    axis.scatter([t for t, _ in near], [o for _, o in near], s=8, c="#1b4965")
    off = [(t, half * (0.93 if o > 0 else -0.93)) for t, o in inside if abs(o) > half]
    axis.scatter([t for t, _ in off], [o for _, o in off], s=10, c="#bbbbbb", marker="x")
    axis.axhline(0, color="#d1495b", lw=1)
    for at, unsure in ((piece.start, piece.start_unsure), (piece.end, piece.end_unsure)):
        axis.axvspan(max(at - unsure, 0), at + unsure, color="#edae49", alpha=0.35, lw=0)
    precision = f"+-{piece.precision_ms:.2f} ms" if piece.precision_ms > FINEST_MS else f"+-{FINEST_MS} ms or better"
    title = f"{clock(round(piece.start, 1))} to {clock(round(piece.end, 1))}   offset {piece.offset:+.4f} s {precision}"
    axis.set_title(f"{title}   heard in {piece.heard:.0%}", fontsize=8, loc="left")
    axis.set_ylim(-half, half)
    pad = 0.02 * (piece.end - piece.start)
    axis.set_xlim(piece.start - pad, piece.end + pad)
    axis.set_ylabel("ms", fontsize=8)
