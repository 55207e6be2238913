"""Damages of a run's values, and what the gate said of each headline."""

from __future__ import annotations


def verdicts(result, method="ours"):
    return {v.line.metric: v.verdict for v in result.verdicts if v.line.method == method}


def delayed(number, values):
    values["av_offset"] = -6.0 + number % 2
    values["lse_d_at_zero"] += 2.0 + 0.1 * number


def damped(number, values):
    values["lse_d"] += 1.0 + 0.05 * number
    values["lse_d_at_zero"] += 1.0 + 0.05 * number
