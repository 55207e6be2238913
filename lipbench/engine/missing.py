"""Which metrics a finished run was asked for and has no number of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from lipbench.core.errors import RunIncomplete
from lipbench.core.metric import MetricSpec
from lipbench.datasets.types import Manifest
from lipbench.engine.config import RunFile
from lipbench.engine.rows import Measured


def unmeasured(
    config: RunFile, manifest: Manifest, measured: Sequence[Measured], cells: Sequence[Mapping[str, Any]]
) -> dict[str, str]:
    """Metric -> why it has no number in any cell; those of `allow_missing` are left out.

    A metric that the run file does not name, only its family or a pattern, is asked for when the default table shows it
    and the clips can have it: what compares with a truth where some clip has one, mesh distances by name alone.
    """
    truth = {(clip.id, language) for clip in manifest.clips for language in clip.truth}
    has_truth = any((cell["clip"], cell["language"]) in truth for cell in cells)
    found = {}
    for family, _ in measured:
        for spec in family.metrics:
            if not config.asks(family.id, spec.id) or any(fnmatchcase(spec.id, p) for p in config.allow_missing):
                continue
            if not _expected(spec, has_truth) and not any(entry.id == spec.id for entry in config.metrics):
                continue
            scores = [cell["metrics"][spec.id] for cell in cells if spec.id in cell["metrics"]]
            if scores and all(score["value"] is None for score in scores):
                reasons = Counter(str(score["reason"]) for score in scores)
                found[spec.id] = reasons.most_common(1)[0][0]
    return found


def _expected(spec: MetricSpec, has_truth: bool) -> bool:
    if "mesh" in spec.needs or not spec.headline:
        return False
    return has_truth or not spec.needs & {"truth", "truth_faces"}


def no_number(missing: Mapping[str, str]) -> RunIncomplete:
    """The error of a run whose stages have all ended, without any number of some metrics."""
    names = ", ".join(list(missing)[:8]) + (f" and {len(missing) - 8} more" if len(missing) > 8 else "")
    name, reason = next(iter(missing.items()))
    return RunIncomplete(
        f"the run has no number at all of {names}",
        f"{name}: {reason}",
        "mend that and run the same command again, or say --allow-missing (`allow_missing` in the run file)",
        reason="no_number",
    )
