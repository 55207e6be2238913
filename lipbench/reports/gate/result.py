"""The gate's answer: a verdict per headline and one exit code for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lipbench.core.errors import LipbenchError, NothingComparable, Regression, RunIncomplete, Suspect
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import Headline, Snapshot

#: Worst first.
ORDER = ("broken", "worse", "incomplete", "incomparable", "suspect", "noisy", "fixed", "better", "same")
FAILS = ("broken", "worse")
WORDS = {0: "fine", 1: "regression", 3: "incomplete", 4: "nothing comparable", 6: "suspect"}


@dataclass(frozen=True)
class Verdict:
    """What became of one headline.

    Attributes:
        verdict: of ORDER.
        reason: one line, for all but better and same.
        n: clips that both have.
        baseline: the baseline's mean over those clips.
        run: the run's mean over those clips.
        worsening: mean over those clips, positive is worse; a share for costs.
        low: one-sided 95 % lower bound of it.
        p: probability that it is chance, looked at alone (t test).
        p_all: the same among all headlines that were tested.
        clips_needed: clips that would settle a suspect headline (chance 80 %).
        clips: clip -> worsening, worst first.
    """

    line: Headline
    verdict: str
    reason: str = ""
    n: int = 0
    baseline: float | None = None
    run: float | None = None
    worsening: float | None = None
    low: float | None = None
    p: float | None = None
    p_all: float | None = None
    clips_needed: int | None = None
    clips: Mapping[str, float] | None = None


@dataclass(frozen=True)
class GateResult:
    """The gate's answer.

    Attributes:
        verdicts: worst first.
        stop: "" or why the whole run cannot be compared (another sync model).
        remarks: lines for people.
        allow_suspect: whether what may be chance passes.
    """

    run: str
    baseline: Snapshot
    verdicts: tuple[Verdict, ...]
    stop: str = ""
    remarks: tuple[str, ...] = ()
    allow_suspect: bool = False

    @property
    def exit_code(self) -> int:
        """0 fine, 1 regression, 3 incomplete, 4 nothing comparable, 6 suspect."""
        seen = {v.verdict for v in self.verdicts}
        if seen & set(FAILS):
            return 1
        if "incomplete" in seen:
            return 3
        if self.stop or seen <= {"incomparable", "noisy"}:
            return 4
        return 6 if "suspect" in seen and not self.allow_suspect else 0

    @property
    def word(self) -> str:
        """One word for all: of WORDS, and "suspect, allowed" where doubts are let pass."""
        doubts = any(v.verdict == "suspect" for v in self.verdicts)
        return "suspect, allowed" if self.exit_code == 0 and doubts else WORDS[self.exit_code]

    def error(self, accept: str = policy.ACCEPT, allow: str = "--allow-suspect") -> LipbenchError | None:
        """The error that ends a failed command; None when the gate is open.

        Args:
            accept: what makes the run the baseline.
            allow: what lets doubts pass.
        """
        code = self.exit_code
        if code == 0:
            return None
        chosen = {1: FAILS, 3: ("incomplete",), 4: ("incomparable", "noisy"), 6: ("suspect",)}[code]
        hits = [v for v in self.verdicts if v.verdict in chosen]
        first = f"{hits[0].line.method} {hits[0].line.title}: {hits[0].reason}" if hits else "the baseline is empty"
        more = f" (and {len(hits) - 1} more)" if len(hits) > 1 else ""
        meant = f"if it is meant to be so: `{accept}`"
        if code == 1:
            return Regression(f"the gate is closed: {first}{more}", "", meant)
        if code == 3:
            fix = "finish the run: the same `lipbench run` command goes on where it stopped"
            return RunIncomplete(f"the run is not complete: {first}{more}", "", fix)
        if code == 6:
            return Suspect(
                f"the gate is not sure: {first}{more}",
                "a worsening beyond the tolerance is no pass, and no test can call it real yet",
                f"give it more clips, or let doubts pass with {allow}; {meant}",
            )
        return NothingComparable(f"nothing can be compared: {self.stop or first + more}", "", meant)


def shown(line: Headline, value: float) -> str:
    """A worsening or tolerance with its unit."""
    if line.relative:
        return f"{100 * value:.0f} %"
    return f"{value:.{max(line.decimals, 1)}f}{' ' + line.unit if line.unit else ''}"
