"""The gate's answer as text, JSON and JUnit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree as xml

from lipbench.reports.gate.result import FAILS, GateResult, Verdict, shown

MARKS = {
    "broken": "!",
    "worse": "-",
    "incomplete": "?",
    "incomparable": "x",
    "suspect": "~",
    "noisy": "≈",
    "fixed": "*",
    "better": "+",
    "same": " ",
}


def _mean(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.{max(verdict.line.decimals, 1)}f}" if math.isfinite(value) else str(value)


def text(result: GateResult) -> str:
    """Markdown that reads in a terminal: one line per headline, then reasons and remarks."""
    base = result.baseline
    head = f"gate: {result.word}: {result.run} against the baseline of {base.created[:10] or 'unknown date'}"
    heads = ["", "verdict", "method", "metric", "clips", "baseline", "run", "worse by", "tolerated", "p"]
    rows = [heads]
    for v in result.verdicts:
        line = v.line
        rows.append(
            [
                MARKS[v.verdict],
                v.verdict,
                line.method,
                line.metric,
                str(v.n or "–"),
                _mean(v, v.baseline),
                _mean(v, v.run),
                "–" if v.worsening is None else shown(line, v.worsening),
                shown(line, line.tolerance),
                "–" if v.p_all is None else f"{v.p_all:.3f}",
            ]
        )
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(heads))]
    lines = [f"**{head}** ({base.reason})" if base.reason else f"**{head}**", ""]
    for number, row in enumerate(rows):
        cells = [
            c.replace("|", "\\|").rjust(w) if i > 3 else c.replace("|", "\\|").ljust(w)
            for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("| " + " | ".join(cells) + " |")
        if number == 0:
            lines.append("|" + "|".join("-" * (w + 1) + (":" if i > 3 else "-") for i, w in enumerate(widths)) + "|")
    lines.append("")
    if result.stop:
        lines.append(f"- {result.stop}")
    lines += [f"- {v.verdict}: {v.line.method} {v.line.metric}: {v.reason}" for v in result.verdicts if v.reason]
    lines += [f"- {remark}" for remark in result.remarks]
    return "\n".join(lines).rstrip() + "\n"


def as_json(result: GateResult) -> dict[str, Any]:
    """Everything, for programs. Infinite means are the string "inf"."""
    base = result.baseline
    return {
        "schema": 1,
        "verdict": result.word,
        "exit_code": result.exit_code,
        "run": result.run,
        "stop": result.stop,
        "baseline": {"run": base.run, "created": base.created, "reason": base.reason, "commit": base.commit},
        "headlines": [_headline(v) for v in result.verdicts],
        "remarks": list(result.remarks),
    }


def _headline(v: Verdict) -> dict[str, Any]:
    def plain(value: float | None) -> Any:
        return value if value is None or math.isfinite(value) else str(value)

    return {
        "method": v.line.method,
        "metric": v.line.metric,
        "verdict": v.verdict,
        "reason": v.reason,
        "n": v.n,
        "baseline": plain(v.baseline),
        "run": plain(v.run),
        "worsening": v.worsening,
        "tolerance": v.line.tolerance,
        "relative": v.line.relative,
        "low": v.low,
        "p": v.p,
        "p_all": v.p_all,
        "clips_needed": v.clips_needed,
        "clips": dict(v.clips or {}),
    }


def junit(result: GateResult | None, others: Sequence[xml.Element] = ()) -> str:
    """JUnit XML: a test case per headline, after `others` (those of the golden pairs).

    Failed for worse and broken, an error for incomplete, skipped for what cannot be compared; warnings stand in the
    output of their case.
    """
    cases = list(others)
    if result is not None and result.stop:
        cases.append(xml.Element("testcase", classname="gate", name="comparable", time="0"))
        xml.SubElement(cases[-1], "error", message=_printable(result.stop), type="incomparable")
    if result is not None:
        cases += [_case(v, result.allow_suspect) for v in result.verdicts]
    counts = {tag: str(sum(case.find(tag) is not None for case in cases)) for tag in ("failure", "error", "skipped")}
    name = f"lipbench gate {result.run}" if result else "lipbench gate"
    suite = xml.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=counts["failure"],
        errors=counts["error"],
        skipped=counts["skipped"],
        time="0",
    )
    suite.extend(cases)
    root = xml.Element("testsuites")
    root.append(suite)
    xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(root, encoding="unicode") + "\n"


def _case(v: Verdict, allow_suspect: bool) -> xml.Element:
    case = xml.Element("testcase", classname=f"gate.{v.line.method}", name=v.line.metric, time="0")
    message = _printable(f"{v.line.title}: {v.reason}")
    if v.verdict in FAILS or (v.verdict == "suspect" and not allow_suspect):
        node = xml.SubElement(case, "failure", message=message, type=v.verdict)
        node.text = "\n".join(_printable(f"{clip}: worse by {shown(v.line, w)}") for clip, w in (v.clips or {}).items())
    elif v.verdict == "incomplete":
        xml.SubElement(case, "error", message=message, type=v.verdict)
    elif v.verdict == "incomparable":
        xml.SubElement(case, "skipped", message=message)
    elif v.reason:
        xml.SubElement(case, "system-out").text = f"{v.verdict}: {message}"
    return case


def _printable(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(c for c in text if c >= " " or c in "\t\n")
