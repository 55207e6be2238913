"""How often the intervals hold the truth: a simulation of a benchmark whose true difference is known to be 0.

    python -m tools.coverage_intervals [--repetitions 1500]

Each clip has an effect of its own (sd 1) and `LANGUAGES` languages inside it (sd 0.5); skewed clips draw their effect
from a centered exponential distribution. `rows` resamples (clip, language) rows as if they were independent: the usual
mistake.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from lipbench.reports.statistics.estimates import bca_levels

CLIP_SD, LANGUAGE_SD, LANGUAGES = 1.0, 0.5, 4
METHODS = ("t", "percentile", "BCa", "rows", "t skewed")
CLIPS = (4, 6, 8, 12, 20, 40)


def simulate(
    clips: int, *, repetitions: int = 1500, resamples: int = 1999, level: float = 0.95, seed: int = 0
) -> dict[str, float]:
    """Share of repetitions whose interval holds 0, by METHODS."""
    rng = np.random.default_rng([seed, clips])
    noise = rng.normal(0, LANGUAGE_SD, (repetitions, clips, LANGUAGES))
    cells = rng.normal(0, CLIP_SD, (repetitions, clips, 1)) + noise
    skewed = (CLIP_SD * (rng.exponential(1, (repetitions, clips, 1)) - 1) + noise).mean(axis=2)
    means = cells.mean(axis=2)  # (repetitions, clips)
    tails = [(1 - level) / 2, (1 + level) / 2]
    boot = means @ _weights(rng, resamples, clips).T  # (repetitions, resamples) means of resampled clips
    rows = cells.reshape(repetitions, -1) @ _weights(rng, resamples, clips * LANGUAGES).T
    bca = np.array([np.quantile(b, bca_levels(b, x, level)) for b, x in zip(boot, means, strict=True)]).T
    return {
        "t": _t_share(means, level),
        "percentile": _share(*np.quantile(boot, tails, axis=1)),
        "BCa": _share(*bca),
        "rows": _share(*np.quantile(rows, tails, axis=1)),
        "t skewed": _t_share(skewed, level),
    }


def _weights(rng: np.random.Generator, resamples: int, n: int) -> NDArray[np.float64]:
    """(resamples, n): how often each of n values is drawn, over n."""
    return rng.multinomial(n, np.full(n, 1 / n), resamples) / n


def _t_share(means: NDArray[np.float64], level: float) -> float:
    n = means.shape[1]
    half = stdtrit(n - 1, 0.5 + level / 2) * means.std(axis=1, ddof=1) / np.sqrt(n)
    return _share(means.mean(axis=1) - half, means.mean(axis=1) + half)


def _share(low: NDArray[np.float64], high: NDArray[np.float64]) -> float:
    return float(((low <= 0) & (high >= 0)).mean())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.coverage_intervals", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    print(f"| clips | {' | '.join(METHODS)} |\n|{'---|' * (1 + len(METHODS))}")
    for clips in CLIPS:
        found = simulate(clips, repetitions=given.repetitions, seed=given.seed)
        print(f"| {clips} | {' | '.join(f'{found[m]:.3f}' for m in METHODS)} |")


if __name__ == "__main__":
    main()
