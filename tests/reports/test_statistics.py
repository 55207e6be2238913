"""Intervals, tests, power and marks against scipy, by hand and by simulation."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as some

from lipbench.reports import statistics as st
from lipbench.reports.frame import load_run
from lipbench.reports.statistics import power
from tools import coverage_intervals as coverage


def normal(n, mean=0.3, seed=0):
    return np.random.default_rng(seed).normal(mean, 1, n)


# ---- intervals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 6, 30])
def test_t_interval_is_scipys(n):
    x = normal(n)
    expected = scipy.stats.t.interval(0.95, n - 1, x.mean(), scipy.stats.sem(x))
    found = st.mean_interval(x)
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-12)
    assert (found.method, found.n, found.level) == ("t", n, 0.95)


def test_bca_is_scipys_with_the_same_seed():
    x = np.random.default_rng(3).exponential(1, 25)
    keyword = "rng" if "rng" in inspect.signature(scipy.stats.bootstrap).parameters else "random_state"
    seed = {keyword: np.random.default_rng(0)}
    expected = scipy.stats.bootstrap((x,), np.mean, method="BCa", **seed).confidence_interval
    found = st.bca_interval(x, seed=0)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-9)
    assert st.bca_interval(x, seed=0) == found
    assert st.bca_interval(x, seed=1) != found


@pytest.mark.parametrize("values", [[], [1.0], [1.0, math.inf], [1.0, math.nan]])
def test_no_interval(values):
    assert st.mean_interval(values) is None
    assert st.bca_interval(values) is None


def test_equal_values_have_an_interval_of_no_width():
    for make in (st.mean_interval, st.bca_interval):
        found = make([2.0] * 5)
        assert (found.low, found.high) == (2.0, 2.0)


def test_coverage():
    """The t interval holds what it promises at 6 clips; rows as units do not, a bootstrap is too narrow."""
    found = coverage.simulate(6, repetitions=1500, resamples=499)
    error = math.sqrt(0.95 * 0.05 / 1500)
    assert abs(found["t"] - 0.95) < 3 * error
    assert 0.80 < found["percentile"] < 0.91
    assert 0.80 < found["BCa"] < 0.91
    assert found["rows"] < 0.70
    assert coverage.simulate(6, repetitions=50, resamples=99) == coverage.simulate(6, repetitions=50, resamples=99)


@pytest.mark.slow
def test_coverage_of_bca_from_20_clips():
    found = coverage.simulate(20, repetitions=3000)
    assert found["BCa"] > 0.915
    assert coverage.simulate(40, repetitions=3000)["BCa"] > 0.925


def test_coverage_prints_a_table(capsys):
    coverage.main(["--repetitions", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| clips | t | percentile | BCa | rows | t skewed |"
    assert len(lines) == 2 + len(coverage.CLIPS)


# ---- tests ----------------------------------------------------------------------------------------------------


def flips(d, alternative):
    """Every sign pattern, one after the other."""
    sums = [sum(s * x for s, x in zip(signs, d, strict=True)) for signs in itertools.product((-1, 1), repeat=len(d))]
    bar = sum(d) if alternative == "greater" else abs(sum(d))
    hits = [s >= bar - 1e-9 if alternative == "greater" else abs(s) >= bar - 1e-9 for s in sums]
    return sum(hits) / len(hits)


@settings(max_examples=60, deadline=None)
@given(
    d=some.lists(some.integers(-8, 8).map(lambda i: i / 4), min_size=1, max_size=8),
    alternative=some.sampled_from(["two-sided", "greater"]),
)
def test_sign_flip_counts_every_pattern(d, alternative):
    assert st.sign_flip(d, alternative) == pytest.approx(flips(d, alternative), abs=1e-12)


def test_sign_flip_is_scipys():
    d = normal(12)
    expected = scipy.stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert st.sign_flip(d) == pytest.approx(expected, abs=1e-12)


def test_sign_flip_beyond_the_exact_range():
    d = normal(60, mean=0.25)
    assert st.sign_flip(d) == st.sign_flip(d)
    assert st.sign_flip(d) == pytest.approx(scipy.stats.ttest_1samp(d, 0).pvalue, abs=0.01)


@pytest.mark.parametrize(("n", "p"), [(1, 1.0), (5, 0.0625), (6, 0.03125)])
def test_smallest_p(n, p):
    assert st.smallest_p(n) == p
    assert st.sign_flip(np.arange(1.0, n + 1)) == p
    assert st.smallest_p(n, "greater") == st.sign_flip([1.0] * n, "greater") == 2.0**-n


@pytest.mark.parametrize("d", [[], [1.0, math.inf], [math.nan]])
def test_sign_flip_refuses(d):
    with pytest.raises(ValueError, match="finite"):
        st.sign_flip(d)


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_t_test_is_scipys(alternative):
    d = normal(7)
    assert st.t_test(d, alternative) == pytest.approx(scipy.stats.ttest_1samp(d, 0, alternative=alternative).pvalue)


def test_t_test_without_spread():
    assert st.t_test([2.0, 2.0], "greater") == 0
    assert st.t_test([-2.0, -2.0], "greater") == 1
    assert st.t_test([0.0, 0.0, 0.0]) == 1
    assert st.t_test([1.0]) is None


def test_holm_by_hand():
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm([]) == []
    assert st.holm([0.9, 0.8]) == [1.0, 1.0]


@given(some.lists(some.floats(0, 1), max_size=8))
def test_holm_never_shrinks_and_keeps_the_order(p):
    corrected = st.holm(p)
    assert all(c >= x for c, x in zip(corrected, p, strict=True))
    assert [corrected[i] for i in np.argsort(p, kind="stable")] == sorted(corrected)


def test_holm_holds_the_family_error():
    """6 true null hypotheses at once: any rejection in at most 5 % of the families."""
    p = np.random.default_rng(0).uniform(size=(4000, 6))
    assert np.mean([min(st.holm(list(row))) <= 0.05 for row in p]) == pytest.approx(0.05, abs=0.01)


# ---- power ----------------------------------------------------------------------------------------------------


def test_power_by_simulation():
    d = np.random.default_rng(0).normal(0.2, 0.15, (4000, 6))
    t = d.mean(axis=1) / (d.std(axis=1, ddof=1) / np.sqrt(6))
    found = np.mean(t > scipy.stats.t.ppf(0.95, 5))
    assert power(0.2, 0.15, 6, sides=1) == pytest.approx(found, abs=0.02)


def test_detectable_and_needed_undo_power():
    effect = st.minimum_detectable(0.15, 8)
    assert power(effect, 0.15, 8) == pytest.approx(0.8, abs=1e-6)
    n = st.clips_needed(0.1, 0.15)
    assert power(0.1, 0.15, n) >= 0.8 > power(0.1, 0.15, n - 1)
    assert st.minimum_detectable(0.1, 1) is None
    assert st.minimum_detectable(0.0, 5) == 0
    assert st.clips_needed(0.1, 0.0) == 2
    assert st.clips_needed(0.0, 1.0) is None
    assert st.clips_needed(1e-6, 1.0) is None


# ---- differences ----------------------------------------------------------------------------------------------


def test_differences_take_the_clips_that_both_have():
    clips, d = st.differences({"a": 1.0, "b": None, "c": 3.0, "x": 1.0}, {"c": 5.0, "a": 0.0, "b": 2.0})
    assert clips == ("a", "c")
    assert d.tolist() == [-1.0, 2.0]
    _, d = st.differences({"a": math.inf, "b": math.inf}, {"a": math.inf, "b": 30.0})
    assert d.tolist() == [0.0, -70.0]


def test_worsening():
    assert st.worsening([1.0, -2.0], "lower").tolist() == [1.0, -2.0]
    assert st.worsening([1.0, -2.0], "higher").tolist() == [-1.0, 2.0]
    with pytest.raises(ValueError, match="cannot get worse"):
        st.worsening([1.0], "none")


def test_paired_says_when_nothing_can_be_significant():
    five = st.paired([1.0, 1.1, 0.9, 1.0, 1.2])
    assert five.p == 0.0625
    assert five.remarks == ("with 5 clips nothing can be significant at 5 %: the smallest p is 0.0625",)
    six = st.paired([1.0, 1.1, 0.9, 1.0, 1.2, 1.0])
    assert six.p == 0.03125
    assert six.remarks == ()
    assert six.bca is None
    assert six.interval.low > 0
    assert six.detectable == pytest.approx(st.minimum_detectable(six.sd, 6))


def test_paired_at_the_edges():
    assert st.paired([]).remarks == ("no clip in common",)
    one = st.paired([0.5])
    assert (one.n, one.mean, one.sd, one.interval, one.p) == (1, 0.5, None, None, 1.0)
    assert st.paired(normal(19)).bca is None
    assert st.paired(normal(20)).bca.method == "BCa"
    assert "random sign flips" in st.paired(normal(41)).remarks[0]


# ---- marks ----------------------------------------------------------------------------------------------------


def test_marks():
    clips = [f"c{i}" for i in range(8)]
    base = dict(zip(clips, normal(8), strict=True))
    values = {
        "best": base,
        "close": {c: v + (0.1 if i % 2 else -0.05) for i, (c, v) in enumerate(base.items())},
        "worse": {c: v + 1 for c, v in base.items()},
        "partial": {c: v - 5 for c, v in list(base.items())[:-1]},
    }
    assert st.not_worse_than_best(values, "lower") == {"best", "close"}
    assert st.not_worse_than_best(values, "higher") == {"worse"}
    assert st.not_worse_than_best({m: {c: own[c] for c in clips[:5]} for m, own in values.items()}, "lower") == {
        "partial",
        "best",
        "close",
        "worse",
    }
    assert st.not_worse_than_best(values, "none") == frozenset()
    assert st.not_worse_than_best({}, "lower") == frozenset()


# ---- a run's numbers ------------------------------------------------------------------------------------------


def test_clip_series_averages_inside_clips(runs):
    metrics = [runs.metric("m", "M", "lower"), runs.metric("off", "Offset", "zero")]
    cells = [
        runs.cell("a", "k", "fr", {"m": 1.0, "off": 3}),
        runs.cell("a", "k", "de", {"m": 2.0, "off": -3}),
        runs.cell("a", "o", "fr", {"m": 5.0, "off": 0}),
        runs.cell("a", "o", "de", {"m": None, "off": 0}),
    ]
    found = st.clip_series(load_run(runs.write(cells, [runs.method("a")], metrics=metrics)))
    assert found["a", "m"].values == {"k": 1.5, "o": None}
    assert found["a", "m"].known == {"k": 1.5}
    assert found["a", "m"].reasons == {"o": "no reason"}
    assert found["a", "off"].values == {"k": 3.0, "o": 0.0}


def test_clip_series_of_the_longest_train_length(runs):
    metrics = [runs.metric("m", "M", "lower")]
    cells = [runs.cell("a", "k", "fr", {"m": float(s or 9)}, seconds=s) for s in (3, 8)]
    found = st.clip_series(load_run(runs.write(cells, [runs.method("a")], metrics=metrics)))["a", "m"]
    assert (found.values, found.train_seconds) == ({"k": 8.0}, 8.0)
    cells = [runs.cell("a", "k", "fr", {"m": float(s or 9)}, seconds=s) for s in (3, None)]
    found = st.clip_series(load_run(runs.write(cells, [runs.method("a")], metrics=metrics, name="whole")))["a", "m"]
    assert (found.values, found.train_seconds) == ({"k": 9.0}, None)


def test_seeds_stand_beside(runs):
    metrics = [runs.metric("m", "M", "lower")]
    numbers = {("k", 0): 1.0, ("k", 1): 2.0, ("o", 0): 3.0, ("o", 1): 6.0, ("x", 0): 100.0, ("x", 1): None}
    cells = [runs.cell("a", c, "fr", {"m": v}, seed=s) for (c, s), v in numbers.items()]
    run = load_run(runs.write(cells, [runs.method("a")], metrics=metrics))
    spread = st.seed_spread(run)["a", "m"]
    assert spread.means == {0: 2.0, 1: 4.0}  # over k and o, which both seeds have
    assert spread.sd == pytest.approx(math.sqrt(2))
    assert st.clip_series(run)["a", "m"].values == {"k": 1.5, "o": 4.5, "x": None}


def test_one_seed_has_no_spread(runs):
    metrics = [runs.metric("m", "M", "lower")]
    run = load_run(runs.write([runs.cell("a", "k", "fr", {"m": 1.0})], [runs.method("a")], metrics=metrics))
    assert st.seed_spread(run)["a", "m"] == st.Spread(1, None, {0: 1.0})
