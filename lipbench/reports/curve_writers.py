"""Curves as text: CSV, JSON, and lines for a terminal."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from lipbench.reports.curves import Curve

_FIELDS = ("method", "kind", "group", "x", "y", "low", "high", "n", "label")


def _rows(curve: Curve) -> list[dict[str, Any]]:
    found = []
    for line in curve.lines:
        for p in line.points:
            row = {"method": line.method, "kind": line.kind, "group": line.group, **asdict(p)}
            found.append({k: str(v) if isinstance(v, float) and np.isinf(v) else v for k, v in row.items()})
    return found


def csv_text(curve: Curve) -> str:
    """One line per point; x empty = the whole clip, low and high empty = one clip."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in _rows(curve))
    return out.getvalue()


def json_text(curve: Curve) -> str:
    """{"kind", "title", "x", "y", "better", "points": [...], "pareto", "notes"}; infinity is the string "inf"."""
    data = {
        "kind": curve.kind,
        "title": curve.title,
        "x": curve.x_title,
        "y": curve.y_title,
        "better": curve.better,
        "points": _rows(curve),
        "pareto": curve.pareto,
        "notes": curve.notes,
    }
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def text(curve: Curve) -> str:
    """The points for a terminal."""
    lines = [f"{curve.title}; x: {curve.x_title}; y: {curve.y_title}"]
    for row in _rows(curve):
        where = "whole" if row["x"] is None else f"{row['x']:g}"
        band = "" if row["low"] is None else f"  [{row['low']:.3f}, {row['high']:.3f}]"
        value = row["y"] if isinstance(row["y"], str) else f"{row['y']:.3f}"
        name = row["method"] + (f" ({row['group']})" if row["group"] else "")
        lines.append(
            f"  {name:<24} {where:>8}  {value:>9}{band}  n={row['n']}" + (f"  {row['label']}" if row["label"] else "")
        )
    return "\n".join([*lines, *(f"  note: {note}" for note in curve.notes)]) + "\n"


WRITERS = {"csv": csv_text, "json": json_text, "txt": text}
