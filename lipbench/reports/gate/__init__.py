"""Pass or fail for CI: a run against a stored baseline, and the metric code against shipped golden pairs.

    snapshot(run_dir)             what a run says, in the form of a baseline
    read(path, ref)               a baseline from a file or out of git
    decide(base, run)              a verdict per headline and one exit code
    accept(run_dir, path, why)    make a run the baseline

`lipbench.reports.golden.check` says whether the code of a metric has changed without a new version.
"""

from lipbench.reports.gate.accept import accept
from lipbench.reports.gate.baseline import Headline, Snapshot, read
from lipbench.reports.gate.facts import snapshot
from lipbench.reports.gate.result import GateResult, Verdict
from lipbench.reports.gate.verdict import decide

__all__ = ["GateResult", "Headline", "Snapshot", "Verdict", "accept", "decide", "read", "snapshot"]
