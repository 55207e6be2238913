"""A comparison as text and JSON."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from lipbench.reports.compare import ClipDelta, Comparison, Delta
from lipbench.reports.statistics import Interval, PairedEstimate, Spread

LEGEND = (
    "marks: - worse, + better (p ≤ 0.05 among all metrics, or every clip and more than 4 tolerances); ? beyond the "
    "tolerance and sure alone, not among so many metrics; ~ beyond the tolerance, maybe by chance; x not comparable; "
    "! lost; * new"
)

#: Clips of one metric in the list of worst clips.
PER_METRIC = 3


def text(found: Comparison, worst: int = 8) -> str:
    """Markdown: a table per pair of methods, the clips that got worse, and what was not comparable.

    Args:
        worst: how many clips to list.
    """
    a, b = found.names
    lines = [f"**{a} → {b}**: sync model {' → '.join(dict.fromkeys(found.sync_models))}"]
    lines += ["", *(f"- {remark}" for remark in found.remarks)] if found.remarks else []
    bca = any(d.paired is not None and d.paired.bca is not None for d in found.deltas)
    for pair in dict.fromkeys(d.methods for d in found.deltas):
        heads = [
            "",
            "metric",
            "clips",
            a,
            b,
            "difference",
            "95 % interval",
            *(["BCa"] if bca else []),
            "p",
            "p of all",
            "detectable",
        ]
        own = [d for d in found.deltas if d.methods == pair and d.paired is not None]
        if own:
            title = pair[0] if pair[0] == pair[1] else f"{pair[0]} → {pair[1]}"
            lines += ["", f"{title}:", "", *_table([heads, *(_row(d, bca) for d in own)], 2)]
    lines += ["", f"- {LEGEND}; detectable: the smallest true difference found with a chance of 80 %"]
    for d in found.deltas:
        for side, spread in zip(found.names, d.seeds, strict=True):
            if spread is not None and spread.sd is not None:
                lines.append(
                    f"- {d.methods[0]} {d.line.metric}: {spread.n} seeds in {side}, sd over seeds "
                    f"{spread.sd:.{d.line.decimals + 1}f} (not part of the intervals)"
                )
    if hits := _spread_out(found.worst, worst):
        rows = [["method", "metric", "clip", a, b, "difference"]]
        rows += [
            [d.methods[1], d.line.metric, c.clip, _value(d, c.a), _value(d, c.b), _signed(d, c.delta)] for d, c in hits
        ]
        lines += ["", f"Clips that got worse, worst first ({len(hits)} of {len(found.worst)}):", "", *_table(rows, 3)]
    noted = [d for d in found.deltas if d.reason]
    if noted:
        lines += ["", "Not compared:", ""]
        by_reason: dict[str, list[str]] = {}
        for d in noted:
            by_reason.setdefault(f"{d.mark if d.paired is None else ' '} {d.reason}", []).append(
                f"{d.methods[1]} {d.line.metric}"
            )
        lines += [f"- {reason[0]} {', '.join(names)}: {reason[2:]}" for reason, names in by_reason.items()]
    return "\n".join(lines) + "\n"


def _spread_out(hits: list[tuple[Delta, ClipDelta]], most: int) -> list[tuple[Delta, ClipDelta]]:
    """The first `most`, but at most PER_METRIC of one metric: one that is wholly broken would fill the list."""
    seen: Counter[tuple[object, ...]] = Counter()
    chosen = []
    for delta, clip in hits:
        seen[delta.methods, delta.line.metric] += 1
        if seen[delta.methods, delta.line.metric] <= PER_METRIC:
            chosen.append((delta, clip))
    return chosen[:most]


def _row(d: Delta, bca: bool) -> list[str]:
    p = d.paired
    assert p is not None
    return [
        d.mark,
        d.line.metric,
        str(p.n),
        _value(d, d.a),
        _value(d, d.b),
        _signed(d, p.mean),
        _interval(d, p.interval),
        *([_interval(d, p.bca)] if bca else []),
        _p(p.p),
        _p(d.p_all),
        _value(d, p.detectable),
    ]


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _value(d: Delta, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.{max(d.line.decimals, 1)}f}" if math.isfinite(value) else str(value)


def _signed(d: Delta, value: float | None) -> str:
    return "–" if value is None else f"{value:+.{max(d.line.decimals, 1)}f}"


def _interval(d: Delta, interval: Interval | None) -> str:
    return "–" if interval is None else f"[{_signed(d, interval.low)}, {_signed(d, interval.high)}]"


def _table(rows: list[list[str]], left: int) -> list[str]:
    """Markdown lines; the first `left` columns are text."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in cells)) for i in range(len(cells[0]))]
    out = []
    for number, row in enumerate(cells):
        padded = [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))]
        out.append("| " + " | ".join(padded) + " |")
        if number == 0:
            out.append("|" + "|".join("-" * (w + 1) + ("-" if i < left else ":") for i, w in enumerate(widths)) + "|")
    return out


def as_json(found: Comparison) -> dict[str, Any]:
    """Everything, for programs. Infinite values are the string "inf"."""
    return {
        "a": found.names[0],
        "b": found.names[1],
        "sync_models": list(found.sync_models),
        "deltas": [_delta(d) for d in found.deltas],
        "remarks": list(found.remarks),
    }


def _delta(d: Delta) -> dict[str, Any]:
    return {
        "methods": list(d.methods),
        "metric": d.line.metric,
        "better": d.line.better,
        "mark": d.mark,
        "reason": d.reason,
        "a": _plain(d.a),
        "b": _plain(d.b),
        "p_all": d.p_all,
        **_paired(d.paired),
        "seeds": [_spread(s) for s in d.seeds],
        "clips": [{"clip": c.clip, "a": _plain(c.a), "b": _plain(c.b), "delta": c.delta} for c in d.clips],
    }


def _paired(p: PairedEstimate | None) -> dict[str, Any]:
    if p is None:
        return {"n": 0, "delta": None, "sd": None, "interval": None, "bca": None, "p": None, "detectable": None}
    ends = {name: i and [i.low, i.high] for name, i in (("interval", p.interval), ("bca", p.bca))}
    return {"n": p.n, "delta": p.mean, "sd": p.sd, **ends, "p": p.p, "detectable": p.detectable}


def _spread(s: Spread | None) -> dict[str, Any] | None:
    return None if s is None else {"n": s.n, "sd": s.sd, "means": {str(seed): mean for seed, mean in s.means.items()}}


def _plain(value: float | None) -> Any:
    return value if value is None or math.isfinite(value) else str(value)
