"""Pass or fail for CI: a run against a stored baseline, and the metric code against shipped golden pairs.

snapshot(run_dir)             what a run says, in the form of a baseline
read(path, ref)               a baseline from a file or out of git
judge(base, run)              a verdict per headline and one exit code
accept(run_dir, path, why)    make a run the baseline
check(), accept_golden(why)   has the code of a metric changed without a new version?
"""

from lipbench.reports.gate.accept import accept
from lipbench.reports.gate.baseline import Headline, Snapshot, read
from lipbench.reports.gate.facts import snapshot
from lipbench.reports.gate.golden.check import accept_golden, check
from lipbench.reports.gate.verdict import GateResult, Verdict, judge

__all__ = ["GateResult", "Headline", "Snapshot", "Verdict", "accept", "accept_golden", "check", "judge", "read",
           "snapshot"]  # fmt: skip
