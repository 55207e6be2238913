"""The step-down max-T test: against a plain count, against its definition, and its error."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from lipbench.reports.statistics import EXACT_JOINT_CLIPS, joint_p, sign_flip


def rows(*values):
    return [{f"c{i:02d}": float(v) for i, v in enumerate(row)} for row in values]


def plain(table, two_sided=False):
    """Every pattern, every row, Student's t by the book; step-down over the rows in the order of their t."""
    table = np.asarray(table, float)
    n = table.shape[1]

    def t(x):
        return x.mean() / (x.std(ddof=1) / np.sqrt(n))

    patterns = [[t(row * s) for row in table] for s in product([1, -1], repeat=n)]
    all_t = np.abs(patterns) if two_sided else np.array(patterns)
    order = np.argsort(-all_t[0])
    p, highest = np.ones(len(table)), 0.0
    for rank, row in enumerate(order):
        highest = max(highest, np.mean(all_t[:, order[rank:]].max(axis=1) >= all_t[0, row] - 1e-9))
        p[row] = highest
    return p


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_it_is_the_plain_count(alternative):
    rng = np.random.default_rng(3)
    table = rng.normal(0.3, 1, (4, 7))
    assert joint_p(rows(*table), alternative) == pytest.approx(plain(table, alternative == "two-sided"))


@pytest.mark.parametrize("alternative", ["greater", "two-sided"])
def test_one_row_is_the_sign_flip_test(alternative):
    row = [0.3, -0.1, 0.4, 0.2, 0.25, 0.05, -0.2]
    assert joint_p(rows(row), alternative) == pytest.approx([sign_flip(row, alternative)])


def test_rows_that_move_together_cost_nothing():
    row = np.array([0.3, 0.2, 0.4, 0.1, 0.35, 0.25])
    assert joint_p(rows(row, 2 * row, 5 * row), "greater") == pytest.approx([1 / 64] * 3)


def test_rows_may_lack_clips():
    whole, part = {"a": 1.0, "b": 2.0, "c": 1.5, "d": 1.2}, {"a": 1.0, "b": 2.0}
    assert joint_p([whole], "greater") == [1 / 16]
    assert joint_p([part, whole], "greater")[1] >= 1 / 16


@pytest.mark.parametrize("n", [5, EXACT_JOINT_CLIPS + 3])
def test_edges(n):
    """No difference is no evidence; the same difference everywhere is all there can be."""
    assert joint_p(rows([0.0] * n), "greater") == [1.0]
    certain = joint_p(rows([2.0] * n, [0.0] * n), "greater")
    assert certain[0] == pytest.approx(2.0**-n if n <= EXACT_JOINT_CLIPS else 1e-4)
    assert certain[1] == 1.0
    assert joint_p(rows([np.inf] * n), "greater") == joint_p(rows([1.0] * n), "greater")
    assert joint_p([], "greater") == []
    assert joint_p([{}], "greater") == [1.0]
    with pytest.raises(ValueError, match="numbers"):
        joint_p(rows([np.nan] * n))


def test_many_clips_are_drawn_and_repeat():
    row = np.random.default_rng(0).normal(0.2, 1, 20)
    assert joint_p(rows(row)) == joint_p(rows(row))
    assert joint_p(rows(row))[0] == pytest.approx(sign_flip(row), abs=0.01)


def test_the_error_over_all_rows_is_held():
    """Four correlated rows without an effect: a false alarm in at most 5 % of 600 runs, and 4 standard errors."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(600):
        table = 0.7 * rng.normal(size=6) + 0.7 * rng.normal(size=(4, 6))
        alarms += min(joint_p(rows(*table), "greater")) <= 0.05
    assert alarms / 600 < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 600)
