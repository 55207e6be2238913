"""Frame strips: sampled frames side by side with the phoneme that is heard above each, as in the paper's Fig. 5."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lipbench.synthetic.corpus.articulation import LEAD_S
from lipbench.synthetic.corpus.render import Shot
from lipbench.synthetic.corpus.scene import plan
from lipbench.synthetic.corpus.spec import ClipSpec
from lipbench.synthetic.speech.phones import Phoneme, symbols


@dataclass(frozen=True)
class Row:
    """One line of a strip. frames: (n, h, w, 3) uint8. labels: one per frame. title: at the left."""

    title: str
    frames: NDArray[np.uint8]
    labels: tuple[str, ...]


def pick(
    phonemes: Sequence[Phoneme], n_frames: int, fps: float, columns: int, telling: str = "pbmfvuoaiyʃwæɑøeθ"
) -> list[tuple[int, str]]:
    """Frames that show the most, each with what is heard: middles of visible sounds, spread over the clip, in order.

    Args:
        telling: sounds preferred, the best first.

    Returns:
        (frame number, phoneme) per column; the phoneme is a dash where nothing is said.
    """
    spoken = [(p, s[0]) for p in phonemes if (s := symbols(p.ipa))]
    edges = np.linspace(0, n_frames / fps, columns + 1)
    out: list[tuple[int, str]] = []
    for start, end in itertools.pairwise(edges):
        inside = [(p, s) for p, s in spoken if start <= 0.5 * (p.start_s + p.end_s) < end]
        if inside:
            # Neighbouring columns should not all show the same sound.
            used = [symbols(ipa)[:1] for _, ipa in out[-3:]]
            inside.sort(key=lambda ps: (([ps[1]] in used), telling.find(ps[1]) % 99))
            best = inside[0][0]
            frame = int((0.5 * (best.start_s + best.end_s) - LEAD_S) * fps)
            out.append((min(max(frame, 0), n_frames - 1), best.ipa))
        else:
            out.append((min(int(0.5 * (start + end) * fps), n_frames - 1), "–"))
    return out


def row(title: str, frames: NDArray[np.uint8], phonemes: Sequence[Phoneme], fps: float, columns: int = 12) -> Row:
    """Sample a video (T, H, W, 3) at `columns` telling frames."""
    chosen = pick(phonemes, len(frames), fps, columns)
    return Row(title, frames[[t for t, _ in chosen]], tuple(label for _, label in chosen))


def draw(rows: Sequence[Row], path: str | Path, *, cell_px: int = 160, title: str = "") -> Path:
    """Write the strips as PNG, one row each; returns the path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = max(len(r.labels) for r in rows)
    height, width = rows[0].frames.shape[1:3]
    cell_h = cell_px * height / width
    left, top = (0.55 * cell_px if any(r.title for r in rows) else 6), (34 if title else 6)
    w, h = left + columns * cell_px + 6, top + len(rows) * (cell_h + 30) + 6
    figure = Figure(figsize=(w / 100, h / 100), dpi=100, facecolor="white")
    FigureCanvasAgg(figure)
    if title:
        figure.text(0.5, 1 - 20 / h, title, ha="center", va="center", fontsize=13)
    for i, one in enumerate(rows):
        y = top + i * (cell_h + 30) + 26
        figure.text(0.45 * left / w, 1 - (y + cell_h / 2) / h, one.title, ha="center", va="center", fontsize=14)
        for k, (frame, label) in enumerate(zip(one.frames, one.labels, strict=True)):
            x = left + k * cell_px
            axes = figure.add_axes((x / w, 1 - (y + cell_h) / h, (cell_px - 3) / w, cell_h / h))
            axes.imshow(frame, aspect="auto", interpolation="antialiased")
            axes.set_axis_off()
            figure.text((x + cell_px / 2) / w, 1 - (y - 12) / h, label, ha="center", va="center", fontsize=15)
    path = Path(path)
    figure.savefig(path)
    return path


def strip_clip(
    spec: ClipSpec, language: str, path: str | Path, *, columns: int = 12, rows: int = 2, cell_px: int = 200
) -> Path:
    """Render the telling frames of one language of a clip and write them as a strip, in `rows` lines."""
    shot = Shot(plan(spec), language)
    phonemes = shot.scene.parts[language].phonemes
    chosen = pick(phonemes, spec.n_frames, spec.fps, columns * rows)
    pictures = np.stack([shot.frame(t) for t, _ in chosen])
    labels = tuple(label for _, label in chosen)
    lines = [Row("", pictures[k : k + columns], labels[k : k + columns]) for k in range(0, columns * rows, columns)]
    return draw(lines, path, cell_px=cell_px, title=f"{language}: {shot.scene.parts[language].transcript}")
