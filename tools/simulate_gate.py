"""How often the gate alarms for nothing and how often it sees what is there.

    python -m tools.simulate_gate [--repetitions 4000]

Each repetition is a run against a baseline: `headlines` metrics over `clips` clips, the paired differences normal with
sd 0.15 and independent between clips; the tolerance is 0.10. In the unchanged runs no metric changed; in the worse ones
the first got worse by 0.20 or 0.30 on average. The verdicts are those of the gate itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from lipbench.reports.gate.baseline import ClipValue, Headline, Snapshot
from lipbench.reports.gate.verdict import decide

SD, TOLERANCE = 0.15, 0.10
CLIPS = (1, 4, 6, 10, 20)
EFFECTS = (0.0, 0.20, 0.30)


def snapshot(values: np.ndarray) -> Snapshot:
    """A run with (headlines, clips) values."""
    lines = {}
    for number, own in enumerate(values):
        clips = {f"{i:03d}": ClipValue(float(v), {"d": "same"}) for i, v in enumerate(own)}
        name = f"metric{number}"
        lines["method", name] = Headline(
            "method", name, name, "1", "lower", "", 3, "", TOLERANCE, False, None, (0,), clips
        )
    return Snapshot("simulated", {}, "", None, 1, {}, lines)


def simulate(clips: int, headlines: int, effect: float, *, repetitions: int = 4000, seed: int = 0) -> dict[str, float]:
    """Share of runs that fail.

    "closed": the gate's rule; "doubt": it is closed or says suspect; "mean": the mean alone; "upper": a non-inferiority
    rule, which fails a run when the upper bound of the worsening exceeds the tolerance.
    """
    from scipy.special import stdtrit

    rng = np.random.default_rng([seed, clips, headlines, int(1000 * effect)])
    base = snapshot(np.zeros((headlines, clips)))
    closed = doubt = mean = upper = 0
    for _ in range(repetitions):
        w = rng.normal(0, SD, (headlines, clips))
        w[0] += effect
        code = decide(base, snapshot(w)).exit_code
        closed += code == 1
        doubt += code in (1, 6)
        means = w.mean(axis=1)
        mean += bool((means > TOLERANCE).any())
        if clips > 1:
            bound = means + stdtrit(clips - 1, 0.95) * w.std(axis=1, ddof=1) / np.sqrt(clips)
            upper += bool((bound > TOLERANCE).any())
    return {
        "closed": closed / repetitions,
        "doubt": doubt / repetitions,
        "mean": mean / repetitions,
        "upper": upper / repetitions,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.simulate_gate", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    heads = ["headlines", "clips", "true worsening", "gate closed", "or suspect", "mean alone", "upper bound"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for headlines in (1, 6):
        for clips in CLIPS:
            for effect in EFFECTS:
                found = simulate(clips, headlines, effect, repetitions=given.repetitions, seed=given.seed)
                shares = " | ".join(f"{100 * found[k]:.1f} %" for k in ("closed", "doubt", "mean", "upper"))
                print(f"| {headlines} | {clips} | {effect:.2f} | {shares} |")


if __name__ == "__main__":
    main()
