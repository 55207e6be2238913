"""What GitHub Actions shows: the step summary and at most a handful of annotations.

GitHub cuts annotations at 10 errors and 10 warnings a step, and 50 a job; the rest is lost without a word. So at most
`MOST` are printed, worst first, and one more says how many there are. GitLab and others read the JUnit file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lipbench.core.errors import disk_full
from lipbench.reports.gate.result import FAILS, GateResult

MOST = 8
#: GitHub refuses step summaries above 1 MiB.
SUMMARY_BYTES = 1_000_000


def annotate(result: GateResult) -> list[str]:
    """Workflow commands, one per line: errors for what closes the gate, warnings for the rest."""
    found = [("error", "gate", result.stop)] if result.stop else []
    for v in result.verdicts:
        doubt = v.verdict == "suspect" and not result.allow_suspect
        level = "error" if v.verdict in (*FAILS, "incomplete") or doubt else "warning"
        if v.verdict in ("same", "better", "fixed"):
            continue
        found.append((level, f"{v.verdict}: {v.line.method} {v.line.metric}", v.reason))
    lines = [f"::{level} title={_property(title)}::{_data(message)}" for level, title, message in found[:MOST]]
    if len(found) > MOST:
        lines.append(f"::notice title=gate::and {len(found) - MOST} more; the step summary has them all")
    return lines


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def in_actions(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process is a step of a GitHub workflow."""
    return environment.get("GITHUB_ACTIONS") == "true"


def append_summary(path: Path, text: str) -> None:
    """Add Markdown to a step summary file.

    Raises:
        DiskFull: no space left.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text.encode()[:SUMMARY_BYTES].decode(errors="ignore") + "\n")
    except OSError as error:
        raise disk_full(error, path) from error
