"""Images of a sync model's evaluation for its page in the docs: `python -m tools.plot_syncnet DIR`.

DIR holds the evaluation.json of `tools.evaluate_syncnet`; the images are written beside it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from lipbench.metrics.sync.protocol import VSHIFT

COLORS = {"en": "#1b6ca8", "fr": "#c8553d", "es": "#3a7d44", "de": "#8a4f9e", "it": "#b8860b"}


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def shift_curves(found: dict[str, Any], path: Path) -> Path:
    """Mean distance against the shift of the sound, one line per language."""
    figure, axes = _axes("Right video, sound shifted", "shift of the sound, frames", "distance")
    shifts = np.arange(-VSHIFT, VSHIFT + 1)
    for tag in found["languages"]:
        mean = np.mean([r["distances"] for r in found["rows"] if r["language"] == tag], axis=0)
        unheard = " (never trained on)" if tag == "it" else ""
        axes.plot(shifts, mean, label=tag + unheard, color=COLORS.get(tag), lw=1.6)
    axes.axvline(0, color="0.6", lw=0.8)
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
    return path


def bars(found: dict[str, Any], path: Path) -> Path:
    """LSE-D of truth beside dubbed (per language), smaller movements, and damage."""
    figure, axes = _axes("LSE-D, mean over the clips", "", "LSE-D (lower is better)")
    rows = [(f"{t}", g["lse_d"], COLORS.get(t)) for t, g in found["languages"].items()]
    rows += [(f"{t} dubbed", g["lse_d_dubbed"], "0.55") for t, g in found["languages"].items()]
    rows += [(f"movement x{a}", v, "#d98c5f") for a, v in found["lse_d_by_amplitude"].items() if a != "1"]
    rows += [(k, v, "#7aa6a1") for k, v in found["lse_d_by_damage"].items()]
    names, values, colors = zip(*rows, strict=True)
    axes.bar(range(len(rows)), values, color=colors)
    axes.axhline(found["all"]["lse_d"], color="0.3", lw=0.8, ls="--")
    axes.set_xticks(range(len(rows)), names, rotation=60, ha="right", fontsize=8)
    figure.savefig(path, dpi=110)
    return path


def delays(found: dict[str, Any], path: Path) -> Path:
    """`lse_d_at_zero` against the delay of the mouth; LSE-D forgives it by definition."""
    figure, axes = _axes("Mouth delayed", "delay, frames", "distance at shift zero")
    axes.plot(range(7), found["lse_d_at_zero_by_delay"], "o-", color="#1b6ca8", lw=1.6)
    figure.savefig(path, dpi=110)
    return path


@click.command()
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
def main(folder: Path) -> None:
    """Draw the images of an evaluation."""
    found = json.loads((folder / "evaluation.json").read_text())
    for draw, name in (
        (shift_curves, "sync_model_shift.png"),
        (bars, "sync_model_lse_d.png"),
        (delays, "sync_model_delay.png"),
    ):
        click.echo(str(draw(found, folder / name)))


if __name__ == "__main__":
    main()
