"""Drawing with matplotlib: curves and strips, for papers (pdf, png, svg) and inside a page (svg in its theme)."""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lipbench.core.atomic import write_text
from lipbench.core.errors import UsageError
from lipbench.reports.curves import Curve, CurveLine, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Colors that people with color-blindness tell apart (Okabe and Ito, 2008), less black and yellow, which vanish on
#: a dark or a light page.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A6FDF", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
#: Stands for the text color until the svg is written, there it becomes currentColor.
_INK = "#010203"
FORMATS = ("svg", "pdf", "png")


def figure(width: float = 5.6, height: float = 3.4) -> Figure:
    """A figure in inches, without pyplot and its global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def draw(curve: Curve) -> Figure:
    """A curve with its bands; small multiples where lines have groups (languages)."""
    groups = list(dict.fromkeys(line.group for line in curve.lines))
    columns = min(3, len(groups))
    rows = math.ceil(len(groups) / columns)
    fig = figure(5.6 if columns == 1 else 2.9 * columns, 3.4 if rows == 1 else 2.5 * rows)
    if len(groups) > 1:
        fig.set_layout_engine("constrained")
    grid = fig.subplots(rows, columns, sharey=True, squeeze=False)
    if len(groups) == 1:
        _margins(fig, left=0.75)
    order = list(dict.fromkeys(line.method for line in curve.lines))
    for i, axes in enumerate(grid.ravel()):
        if i >= len(groups):
            axes.set_axis_off()
            continue
        lines = [line for line in curve.lines if line.group == groups[i]]
        for line in lines:
            _line(axes, curve, line, order.index(line.method), _whole(curve))
        _axes(axes, curve)
        if curve.kind != "cost":
            _keep_lines_readable(axes, lines)
        if groups[i]:
            axes.set_title(words(groups[i]), fontsize=9)
    if curve.pareto and len(curve.pareto) > 1:
        x, y = zip(*curve.pareto, strict=True)
        grid[0, 0].plot(x, y, "--", color=_INK, alpha=0.6, linewidth=1, label="nothing is cheaper and better", zorder=1)
    if grid[0, 0].get_legend_handles_labels()[0]:
        grid[0, 0].legend(fontsize=7.5, frameon=False, labelcolor=_INK)
    grid[-1, 0].set_xlabel(words(curve.x_title, WIDE))
    grid[0, 0].set_ylabel(words(curve.y_title, WIDE))
    return fig


def _keep_lines_readable(axes: Axes, lines: Sequence[CurveLine]) -> None:
    """Bands over two or three clips can be wide enough to press the lines flat: then they reach out of the image."""
    means = [p.y for line in lines for p in line.points if math.isfinite(p.y)]
    if not means:
        return
    margin = 0.6 * (max(means) - min(means)) or 0.1 * abs(means[0]) or 1.0
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, min(means) - margin), min(high, max(means) + margin))


def _margins(fig: Figure, left: float) -> None:
    """Room for the axes' words, in inches; matplotlib's own layout would draw everything twice."""
    width, height = fig.get_size_inches()
    fig.subplots_adjust(left=left / width, right=1 - 0.12 / width, bottom=0.5 / height, top=1 - 0.12 / height)


def _whole(curve: Curve) -> float:
    """Where the whole clip stands on the axis of training lengths."""
    known = [p.x for line in curve.lines for p in line.points if p.x is not None]
    return 1.6 * max(known, default=1.0)


def _line(axes: Axes, curve: Curve, line: CurveLine, place: int, whole: float) -> None:
    points = [p for p in line.points if math.isfinite(p.y)]
    if not points:
        return
    color, marker = COLORS[place % len(COLORS)], MARKERS[place % len(MARKERS)]
    x = [whole if p.x is None else p.x for p in points]
    y = [p.y for p in points]
    style = "--" if line.kind == "control" else "-"
    if curve.kind == "cost":
        axes.errorbar(
            x, y, _bars(points), fmt=marker, color=color, markersize=6, capsize=2, linewidth=1, label=words(line.title)
        )
        for p in points:
            axes.annotate(words(p.label), (p.x or 0, p.y), (4, 4), textcoords="offset points", fontsize=7, color=_INK)
        return
    shape: dict[str, Any] = {} if curve.kind == "shift" else {"marker": marker, "markersize": 4.5}
    axes.plot(x, y, style, color=color, linewidth=1.6, label=words(line.title), **shape)
    if all(p.low is not None for p in points):
        low, high = [p.low or 0.0 for p in points], [p.high or 0.0 for p in points]
        axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def _bars(points: Sequence[Point]) -> Any:
    if any(p.low is None for p in points):
        return None
    return [[p.y - (p.low or 0.0) for p in points], [(p.high or 0.0) - p.y for p in points]]


def _axes(axes: Axes, curve: Curve) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

    plain(axes)
    if curve.kind == "cost":
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if curve.kind == "shift":
        axes.axvline(0, color=_INK, alpha=0.35, linewidth=0.8)
    if curve.kind == "length":
        places = {p.x for line in curve.lines for p in line.points}
        known = sorted(x for x in places if x is not None)
        ticks = [(x, f"{x:g}") for x in known] + ([(_whole(curve), "whole")] if None in places else [])
        axes.set_xscale("log")
        axes.set_xticks([x for x, _ in ticks], [name for _, name in ticks])
        axes.xaxis.set_minor_locator(NullLocator())


#: Characters of a name that a drawing has room for.
ROOM = 32
#: The same along an axis.
WIDE = 90


def words(text: str, room: int = ROOM) -> str:
    """A name as drawings show it: on one line, shortened in its middle, and its dollar signs are dollar signs."""
    flat = " ".join(text.split())
    if len(flat) > room:
        flat = f"{flat[: room - 13]}…{flat[-12:]}"
    return flat.replace("$", r"\$")


def plain(axes: Axes) -> None:
    """Two spines, small gray ticks, a light grid."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_INK)
    axes.tick_params(colors=_INK, labelsize=8)
    axes.xaxis.label.set_color(_INK)
    axes.yaxis.label.set_color(_INK)
    axes.title.set_color(_INK)
    axes.xaxis.label.set_fontsize(9)
    axes.yaxis.label.set_fontsize(9)
    axes.grid(color=_INK, alpha=0.12, linewidth=0.6)


def strip(title: str, values: Mapping[str, Mapping[str, float]], colors: Mapping[str, int]) -> Figure:
    """One row per method, one dot per clip, a bar at the mean.

    Args:
        values: method title -> clip -> finite value.
        colors: method title -> place in COLORS, so that a method has one color in all strips.
    """
    fig = figure(5.6, 0.75 + 0.36 * len(values))
    axes = fig.subplots()
    clips = sorted({clip for own in values.values() for clip in own})
    for row, (name, own) in enumerate(values.items()):
        for clip, value in own.items():
            # A fixed place within the row for each clip: the same clip stands at the same height in every row.
            offset = 0.0 if len(clips) < 2 else 0.5 * clips.index(clip) / (len(clips) - 1) - 0.25
            axes.plot([value], [row + offset], "o", markersize=4, color=COLORS[colors[name] % len(COLORS)])
        mean = sum(own.values()) / len(own)
        axes.plot([mean, mean], [row - 0.34, row + 0.34], color=_INK, linewidth=1.6)
    names = [words(name) for name in values]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlabel(words(title, WIDE))
    plain(axes)
    _margins(fig, left=0.25 + 0.075 * max(map(len, names)))
    return fig


def save(fig: Figure, path: Path) -> None:
    """Write a figure by its suffix, svg, pdf or png; the same figure gives the same bytes.

    Raises:
        UsageError: another suffix.
    """
    form = path.suffix.lstrip(".").lower()
    if form not in FORMATS:
        raise UsageError(
            f"cannot draw {path.name}", f"the suffix is {path.suffix or 'missing'}", "one of " + ", ".join(FORMATS)
        )
    if form == "svg":
        write_text(path, svg(fig, path.stem).replace("currentColor", "#111"))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    dated = {"CreationDate": None} if form == "pdf" else {"Software": "lipbench"}
    fig.savefig(path, format=form, dpi=200, metadata=dated)


def svg(fig: Figure, name: str, alt: str = "") -> str:
    """A figure as an <svg> element to stand inside a page: text stays text, black follows the page's text color.

    Args:
        name: unique in the page; ids inside the drawing begin with it.
        alt: what the drawing shows, for people who do not see it.
    """
    from matplotlib import rc_context

    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        fig.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    mark = re.sub(r"\W+", "-", name)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{mark}-", text)
    text = text.replace(_INK, "currentColor")
    label = f'<svg role="img" aria-label="{html.escape(alt or name)}" '
    return text.replace("<svg ", label, 1).strip()
