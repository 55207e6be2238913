"""Scores the golden pairs anew and compares with the stored numbers: the gate of metric code."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as xml

from lipbench.core import registry
from lipbench.core.atomic import write_json
from lipbench.core.errors import LipbenchError, NothingComparable, Regression, UsageError
from lipbench.core.keys import canonical, first_difference
from lipbench.core.metric import MetricFamily, MetricSpec, Score
from lipbench.reports.golden import pairs

FILE = Path(__file__).with_name("values.json")
SCHEMA = 1
#: The sync family is measured by the bundled sync model on whole frames: no weights of others are needed.
OPTIONS: dict[str, dict[str, Any]] = {"sync": {"sync_model": "demo", "protocol": "cropped"}}
#: Beginnings of reasons that say something about this machine, not about the code.
ABSENT = ("weights_missing", "weights_mismatch", "unknown_name")


@dataclass(frozen=True)
class Golden:
    """One metric on one pair.

    Attributes:
        name: "pair/metric".
        verdict: same, changed (no new version was declared), new (another version or weights: store new values),
            absent (cannot be measured here) or unknown (no golden value yet).
    """

    name: str
    verdict: str
    reason: str = ""


@dataclass(frozen=True)
class GoldenResult:
    """What `check` found."""

    entries: tuple[Golden, ...]

    @property
    def changed(self) -> dict[str, str]:
        """Metric id -> how its numbers differ without a declared reason."""
        return {e.name.split("/")[1]: e.reason for e in self.entries if e.verdict == "changed"}

    def count(self, verdict: str) -> int:
        return sum(e.verdict == verdict for e in self.entries)

    @property
    def exit_code(self) -> int:
        """0 fine, 1 a metric changed without a new version, 4 values to be stored, or nothing could be measured."""
        if self.count("changed"):
            return 1
        return 4 if self.count("new") or not self.count("same") else 0

    def error(self) -> LipbenchError | None:
        """The error that ends a failed command."""
        if self.exit_code == 0:
            return None
        verdict = "changed" if self.count("changed") else "new"
        first = next((e for e in self.entries if e.verdict == verdict), None)
        if first is None:
            return NothingComparable("no golden pair could be measured", self.entries[0].reason if self.entries else "")
        count = f" ({self.count(verdict)} in all)" if self.count(verdict) > 1 else ""
        if verdict == "changed":
            return Regression(
                f"the code of a metric has changed: {first.name}{count}",
                first.reason,
                "undo it, or give the metric a new version and store new values: "
                "lipbench gate --golden --accept --reason TEXT",
            )
        return NothingComparable(
            f"golden values are out of date: {first.name}{count}",
            first.reason,
            "store new ones: lipbench gate --golden --accept --reason TEXT",
        )

    def text(self) -> str:
        """A line, and one for each entry that is not the same; what is absent is told once per reason."""
        parts = [f"{n} {v}" for v in ("same", "changed", "new", "absent", "unknown") if (n := self.count(v))]
        lines = [f"**metric code: {', '.join(parts) or 'nothing measured'}**", ""]
        lines += [f"- {e.verdict}: {e.name}: {e.reason}" for e in self.entries if e.verdict == "changed"]
        for verdict in ("new", "absent", "unknown"):
            for reason in dict.fromkeys(e.reason for e in self.entries if e.verdict == verdict):
                names = {e.name.split("/")[1] for e in self.entries if (e.verdict, e.reason) == (verdict, reason)}
                lines.append(f"- {verdict}: {', '.join(sorted(names))}: {reason}")
        return "\n".join(lines).rstrip() + "\n"

    def as_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        entries = [{"name": e.name, "verdict": e.verdict, "reason": e.reason} for e in self.entries]
        return {"exit_code": self.exit_code, "entries": entries}

    def annotations(self) -> list[str]:
        """GitHub workflow commands: one error that names the first change."""
        error = self.error()
        return [] if error is None else [f"::error title=metric code::{' '.join(error.one_line().split())}"]

    def cases(self) -> tuple[xml.Element, ...]:
        """JUnit test cases."""
        cases = []
        for e in self.entries:
            case = xml.Element("testcase", classname="golden", name=e.name, time="0")
            if e.verdict == "changed":
                xml.SubElement(case, "failure", message=e.reason, type="changed")
            elif e.verdict == "new":
                xml.SubElement(case, "error", message=e.reason, type="new")
            elif e.verdict != "same":
                xml.SubElement(case, "skipped", message=e.reason)
            cases.append(case)
        return tuple(cases)


@dataclass(frozen=True)
class StoredValues:
    """What `accept` wrote."""

    path: Path
    names: tuple[str, ...]


def measure(families: Mapping[str, MetricFamily] | None = None) -> dict[str, tuple[MetricSpec, dict[str, Any], Score]]:
    """Score every golden pair with every family: "pair/metric" -> spec, identity of the family, score.

    Args:
        families: by name; all registered ones when left out.
    """
    if families is None:
        families = {name: registry.load("metrics", name) for name in registry.names("metrics")}
    found: dict[str, tuple[MetricSpec, dict[str, Any], Score]] = {}
    with tempfile.TemporaryDirectory(prefix="lipbench-golden-") as work:
        for pair_name in pairs.NAMES:
            folder = Path(work) / pair_name
            folder.mkdir()
            pair = pairs.make(folder, pair_name)
            for name, family in families.items():
                options = OPTIONS.get(name, {})
                identity: dict[str, Any] = {}
                try:
                    identity = json.loads(canonical({"identity": dict(family.identity(options))}))["identity"]
                    scores = family.score(pairs.for_family(pair, options))
                except LipbenchError as error:
                    scores = {m.id: Score(None, f"{error.reason}: {error.one_line()}") for m in family.metrics}
                for spec in family.metrics:
                    found[f"{pair_name}/{spec.id}"] = (spec, identity, scores[spec.id])
    return found


def check(families: Mapping[str, MetricFamily] | None = None, path: Path = FILE) -> GoldenResult:
    """Score the golden pairs and compare with the stored numbers.

    Raises:
        UsageError: the file of golden values is damaged.
    """
    stored = _read(path)
    measured = measure(families).items()
    return GoldenResult(tuple(_scored(name, *facts, stored.get(name)) for name, facts in measured))


def _scored(
    name: str, spec: MetricSpec, identity: Mapping[str, Any], score: Score, old: Mapping[str, Any] | None
) -> Golden:
    if score.value is None and (score.reason or "").startswith(ABSENT):
        return Golden(name, "absent", str(score.reason))
    if old is None:
        return Golden(name, "unknown", "no golden value is stored")
    declared = {"version": spec.version, "pairs": pairs.VERSION, "identity": identity}
    if (found := first_difference(dict(old["declared"]), declared)) is not None:
        return Golden(name, "new", f"{found[0]} was {found[1]} when the value was stored, now it is {found[2]}")
    before = None if old["value"] is None else float(old["value"])
    if before is None or score.value is None:
        why = f"{before} was stored, now it is {score.value}" + (f" ({score.reason})" if score.reason else "")
        return Golden(name, "same" if before is score.value else "changed", "" if before is score.value else why)
    gap = 0.0 if before == score.value else abs(before - score.value)
    if gap <= spec.tolerance:
        return Golden(name, "same")
    return Golden(
        name, "changed", f"{before:.6g} was stored, now it is {score.value:.6g}; {spec.tolerance:g} is tolerated"
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        values: dict[str, Any] = data["values"]
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']}, not {SCHEMA}")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"cannot read the golden values {path}", str(error), "restore the file from git") from error
    return values


def accept_golden(reason: str, families: Mapping[str, MetricFamily] | None = None, path: Path = FILE) -> StoredValues:
    """Store the numbers of metrics that are new or have a new version, weights or options.

    Raises:
        UsageError: no reason.
        Regression: a number changed without any of these; nothing is stored.
    """
    if not reason.strip():
        raise UsageError("golden values need a reason", "a reviewer reads it", 'give --reason "what changed and why"')
    values = _read(path)
    names = []
    for name, (spec, identity, score) in measure(families).items():
        found = _scored(name, spec, identity, score, values.get(name))
        if found.verdict == "changed":
            raise Regression(
                f"{name} has changed but is still version {spec.version}",
                found.reason,
                f"give {spec.id} a new version in its MetricSpec first: old runs then say that they are not comparable",
            )
        if found.verdict in ("new", "unknown"):
            value = score.value if score.value is None or math.isfinite(score.value) else str(score.value)
            values[name] = {
                "value": value,
                "reason": reason.strip(),
                "declared": {"version": spec.version, "pairs": pairs.VERSION, "identity": identity},
            }
            names.append(name)
    data = {"schema": SCHEMA, "values": dict(sorted(values.items()))}
    write_json(path, data)
    return StoredValues(path, tuple(names))
