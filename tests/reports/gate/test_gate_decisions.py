"""The rule at its edges: snapshots made in memory, each number against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lipbench.reports.gate import policy
from lipbench.reports.gate.simulate import TOLERANCE, snapshot
from lipbench.reports.gate.verdict import GateResult, judge

#: Mean 0.15, above the tolerance of 0.10, but one clip makes all of it.
ONE_CLIP = [0.9, 0.0, 0.0, 0.0, 0.0, 0.0]
CALM = [0.01, -0.01, 0.02, -0.02, 0.01, -0.01]


def judged(*worsenings: list[float]) -> GateResult:
    """The gate's answer to headlines that got worse by so much in each clip."""
    run = np.array(worsenings, np.float64)
    return judge(snapshot(np.zeros_like(run)), snapshot(run))


def smallest_n(effect: float, sd: float, alpha: float) -> int:
    """Clips with which the one-sided paired t test finds `effect` four times in five, by trying every number."""
    n = 2
    while stats.nct.sf(stats.t.isf(alpha, n - 1), n - 1, effect * np.sqrt(n) / sd) < 0.8:
        n += 1
    return n


def test_numbers_of_a_headline():
    w = [0.3, 0.1, 0.25, 0.05, 0.4, 0.2]
    (v,) = judged(w).verdicts
    test = stats.ttest_1samp(w, 0, alternative="greater")
    assert (v.n, v.baseline) == (6, 0)
    assert (v.run, v.worsening) == pytest.approx((np.mean(w), np.mean(w)))
    assert v.low == pytest.approx(test.confidence_interval(0.95).low)
    assert v.p == v.p_holm == pytest.approx(test.pvalue)
    assert list(v.clips) == ["004", "000", "002", "005", "001", "003"]
    assert v.verdict == "worse"
    assert v.reason == "worse by 0.217, 0.100 is tolerated; worst clip 004 by 0.400"


@pytest.mark.parametrize("others", [0, 1, 3])
def test_a_suspect_needs_as_many_clips_as_the_one_sided_test(others):
    (suspect,) = [v for v in judged(ONE_CLIP, *[CALM] * others).verdicts if v.verdict == "suspect"]
    needed = smallest_n(0.15, np.std(ONE_CLIP, ddof=1), policy.ALPHA / (1 + others))
    assert suspect.clips_needed == needed
    assert suspect.reason == (
        f"worse by 0.150, 0.100 is tolerated, but that may be chance; about {needed} clips would settle it"
    )


def test_one_clip_says_nothing_of_how_many_would():
    (suspect,) = judged([0.9]).verdicts
    assert (suspect.verdict, suspect.clips_needed, suspect.low) == ("suspect", None, None)
    assert suspect.reason.endswith("that may be chance; more clips would settle it")


def test_two_clips_are_enough_for_a_bound():
    test = stats.ttest_1samp([0.9, 0.7], 0, alternative="greater")
    (v,) = judged([0.9, 0.7]).verdicts
    assert v.low == pytest.approx(test.confidence_interval(0.95).low)
    assert v.p == pytest.approx(test.pvalue)
    (suspect,) = judged([0.9, 0.1]).verdicts
    assert suspect.clips_needed == smallest_n(0.5, np.std([0.9, 0.1], ddof=1), policy.ALPHA)


def test_the_tolerance_itself_is_tolerated():
    assert judged([TOLERANCE] * 6).verdicts[0].verdict == "same"
    assert judged([TOLERANCE + 1e-6] * 6).verdicts[0].verdict == "worse"
    assert judged([-TOLERANCE] * 6).verdicts[0].verdict == "same"
    assert judged([-TOLERANCE - 1e-6] * 6).verdicts[0].verdict == "better"


def test_a_gain_of_one_clip_is_not_better():
    assert judged([-w for w in ONE_CLIP]).verdicts[0].verdict == "same"


def test_as_many_headlines_as_are_enough_go_unremarked():
    assert judged(*[CALM] * 6).remarks == ()
    assert judged(*[CALM] * 7).remarks == (
        "7 headlines: the correction for their number hides small regressions, 6 are enough (--metric and --method "
        "when accepting)",
    )


def test_as_many_clips_as_are_enough_go_unremarked():
    assert judged([0.0] * 6).remarks == ()
    assert judged([0.0] * 5).remarks == ("5 clips are few: below 6 the gate alarms more often and sees less",)


def test_the_worst_headline_comes_first():
    """Within one verdict by the size of the worsening, in tolerances."""
    result = judged([0.2, 0.21] * 3, CALM, [0.5, 0.51] * 3, [0.3, 0.31] * 3)
    assert [v.line.metric for v in result.verdicts] == ["metric2", "metric3", "metric0", "metric1"]
    assert str(result.error()).startswith("the gate is closed: method metric2: worse by 0.505")
    assert "(and 2 more)" in str(result.error())


def test_one_bad_headline_is_told_alone():
    assert "more)" not in str(judged([0.2, 0.21] * 3).error())
