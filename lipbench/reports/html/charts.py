"""The page's drawings: every curve that the run has numbers for, and a dot for each clip."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

from lipbench.core.errors import LipbenchError
from lipbench.reports import curves, plots, statistics
from lipbench.reports.details import Details, title_of
from lipbench.reports.html.grid import led
from lipbench.reports.plain import measures_sync, unit

#: Strips and per-metric curves that a page draws at most.
MAX_CHARTS = 6


def _drawn(make: Callable[[], Any], name: str, title: str, alt: str, undrawn: list[str]) -> list[dict[str, str]]:
    """A chart for the page; one that cannot be drawn costs itself and not the page."""
    try:
        return [{"title": title, "svg": plots.svg(make(), name, alt)}]
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        undrawn.append(f"the chart of {title} could not be drawn ({type(error).__name__}: {first[:120]})")
        return []


def charts(details: Details, ids: list[str], undrawn: list[str]) -> list[dict[str, str]]:
    """Every curve that the run has numbers for."""
    order = led(details.run.metrics, ids)
    wanted = [("length", name) for name in order] + [("shift", name) for name in order if _is_distance(details, name)]
    # What controls and finished videos cost says nothing.
    if any(m["kind"] == "method" and not m.get("made_elsewhere") for m in details.run.methods.values()):
        wanted += [("cost", name) for name in order[:2]]
    found: list[dict[str, str]] = []
    for kind, metric in wanted:
        try:
            curve = curves.build(details, kind, metric)
        except LipbenchError:
            continue
        lines = ", ".join(line.title for line in curve.lines)
        alt = f"{curve.title}: {curve.y_title} against {curve.x_title}; one line each for {lines}"
        notes = "; ".join(curve.notes)
        chart = _drawn(partial(plots.draw, curve), f"c{len(found)}", curve.title, alt, undrawn)
        found += [{**one, "notes": notes} for one in chart]
        if len(found) == MAX_CHARTS:
            break
    return found


def _is_distance(details: Details, metric: str) -> bool:
    """Whether a sync metric is the one whose distances per shift the run keeps."""
    return metric == "lse_d" and measures_sync(details.run.metrics[metric])


def strips(details: Details, ids: list[str], undrawn: list[str]) -> list[dict[str, str]]:
    """One strip per headline metric, a dot per clip."""
    series = statistics.clip_series(details.run)
    colors = {title_of(details.run.methods, label): i for i, label in enumerate(details.run.methods)}
    found: list[dict[str, str]] = []
    for name in led(details.run.metrics, ids)[:MAX_CHARTS]:
        spec = details.run.metrics[name]
        values = {}
        for label in details.run.methods:
            known = series[label, name].known if (label, name) in series else {}
            known = {clip: value for clip, value in known.items() if math.isfinite(value)}
            if known:
                values[title_of(details.run.methods, label)] = known
        if values:
            axis = str(spec["title"]) + (f" [{unit(spec)}]" if unit(spec) else "")
            alt = f"{spec['title']} of every clip, one row each for {', '.join(values)}"
            draw = partial(plots.strip, axis, values, colors)
            found += _drawn(draw, f"s{len(found)}", str(spec["title"]), alt, undrawn)
    return found
