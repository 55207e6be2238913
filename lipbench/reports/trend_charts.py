"""A chart per headline metric: means over clips with their intervals, run after run, one line per method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lipbench.reports.trend import TrendStep, stretches

ARROWS = {"higher": "higher is better", "lower": "lower is better", "zero": "0 is best"}
#: Okabe and Ito's palette: told apart by color-blind readers too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
#: Run names under the axis; with more runs every second, third, ... one.
MOST_NAMES = 16


def draw(
    data: pd.DataFrame, metrics: Sequence[str], folder: Path, found: Sequence[TrendStep] = (), form: str = "svg"
) -> list[Path]:
    """Write FOLDER/<metric>.svg (or .png) for each metric; returns the files.

    Gaps in a line: the two runs cannot be compared (sync model, version, clips). Dashed: a step.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    runs = data[["run", "when"]].drop_duplicates().reset_index(drop=True)
    place = {(run, when): i for i, (run, when) in enumerate(zip(runs["run"], runs["when"], strict=True))}
    names = list(runs["run"])
    if len(set(names)) < len(names):
        names = [f"{when:%m-%d %H:%M}" for when in runs["when"]]
    methods = list(dict.fromkeys(data["method"]))
    files = []
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "lipbench", "font.size": 9}):
        for metric in metrics:
            own = data[(data["metric"] == metric) & data["mean"].notna()]
            if own.empty:
                continue
            first = own.iloc[0]
            figure = Figure(figsize=(max(5.0, min(12.0, 2.5 + 0.45 * len(runs))), 3.2), layout="constrained")
            FigureCanvasAgg(figure)
            axes = figure.subplots()
            for number, method in enumerate(methods):
                color = COLORS[number % len(COLORS)]
                label = str(method)
                for stretch in stretches(own[own["method"] == method]):
                    x = [place[key] for key in zip(stretch["run"], stretch["when"], strict=True)]
                    axes.plot(x, stretch["mean"], "o-", color=color, label=label, markersize=4, linewidth=1.5)
                    axes.fill_between(x, stretch["low"], stretch["high"], color=color, alpha=0.15, linewidth=0)
                    if len(x) == 1:  # a band needs two runs
                        axes.vlines(x, stretch["low"], stretch["high"], color=color, alpha=0.5)
                    label = ""
                for step in found:
                    if step.metric == metric and step.method == method:
                        axes.axvline(place[step.at, step.when] - 0.5, color=color, linestyle="--", linewidth=1)
            every = -(-len(runs) // MOST_NAMES)
            axes.set_xticks(range(0, len(runs), every), names[::every], rotation=40, ha="right")
            axes.set_xlim(-0.5, len(runs) - 0.5)
            unit = f" [{first['unit']}]" if first["unit"] else ""
            axes.set_ylabel(f"{first['title']}{unit}")
            arrow = ARROWS.get(str(first["better"]), "")
            axes.set_title(f"{first['title']}: mean over clips, 95 % t interval; {arrow}", fontsize=9)
            axes.grid(alpha=0.3, linewidth=0.5)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
            path = folder / f"{metric}.{form}"
            figure.savefig(path, dpi=150, metadata={"Date": None} if form == "svg" else None)
            files.append(path)
    return files
