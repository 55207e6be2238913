"""The rule at its edges: snapshots made in memory, each number against scipy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from lipbench.core.errors import Suspect
from lipbench.reports.gate import policy
from lipbench.reports.gate.baseline import ClipValue, Snapshot
from lipbench.reports.gate.result import GateResult
from lipbench.reports.gate.verdict import decide
from tools.simulate_gate import TOLERANCE, snapshot

#: Mean 0.15, above the tolerance of 0.10, but one clip makes all of it.
ONE_CLIP = [0.9, 0.0, 0.0, 0.0, 0.0, 0.0]
CALM = [0.01, -0.01, 0.02, -0.02, 0.01, -0.01]


def decided(*worsenings: list[float]) -> GateResult:
    """The gate's answer to headlines that got worse by so much in each clip."""
    run = np.array(worsenings, np.float64)
    return decide(snapshot(np.zeros_like(run)), snapshot(run))


def change(snapshot: Snapshot, **fields) -> Snapshot:
    """The same snapshot with other fields in every headline."""
    return replace(snapshot, headlines={key: replace(line, **fields) for key, line in snapshot.headlines.items()})


def smallest_n(effect: float, sd: float, alpha: float) -> int:
    """Clips with which the one-sided paired t test finds `effect` four times in five, by trying every number."""
    n = 2
    while stats.nct.sf(stats.t.isf(alpha, n - 1), n - 1, effect * np.sqrt(n) / sd) < 0.8:
        n += 1
    return n


def test_numbers_of_a_headline():
    w = [0.3, 0.1, 0.25, 0.05, 0.4, 0.2]
    (v,) = decided(w).verdicts
    test = stats.ttest_1samp(w, 0, alternative="greater")
    assert (v.n, v.baseline) == (6, 0)
    assert (v.run, v.worsening) == pytest.approx((np.mean(w), np.mean(w)))
    assert v.low == pytest.approx(test.confidence_interval(0.95).low)
    assert v.p == pytest.approx(test.pvalue)
    assert v.p_all == 1 / 2**6  # one of the 64 sign patterns reaches this t
    assert list(v.clips) == ["004", "000", "002", "005", "001", "003"]
    assert v.verdict == "worse"
    assert v.reason == "worse by 0.217, 0.100 is tolerated; worst clip 004 by 0.400"


@pytest.mark.parametrize("others", [0, 1, 3])
def test_a_suspect_needs_as_many_clips_as_the_one_sided_test(others):
    (suspect,) = [v for v in decided(ONE_CLIP, *[CALM] * others).verdicts if v.verdict == "suspect"]
    needed = smallest_n(0.15, np.std(ONE_CLIP, ddof=1), policy.ALPHA / (1 + others))
    assert suspect.clips_needed == needed
    assert suspect.reason == (
        f"worse by 0.150, 0.100 is tolerated, but that may be chance; about {needed} clips would settle it"
    )


def test_one_clip_says_nothing_of_how_many_would():
    (suspect,) = decided([0.3]).verdicts
    assert (suspect.verdict, suspect.clips_needed, suspect.low) == ("suspect", None, None)
    assert suspect.reason.endswith("that may be chance; with 1 clip only 4 tolerances close the gate")


@pytest.mark.parametrize("n", [1, 2, 3, 6, 30])
def test_a_disaster_closes_the_gate_with_any_number_of_clips(n):
    (worse,) = decided([0.41 + 0.01 * i for i in range(n)]).verdicts
    assert worse.verdict == "worse"
    assert f"{'its one clip is' if n == 1 else f'all {n} clips are'} worse, by more than 4 tolerances" in worse.reason


def test_a_disaster_needs_every_clip_and_more_than_four_tolerances():
    assert decided([0.41, 0.9, -0.01]).verdicts[0].verdict == "suspect"
    assert decided([0.4]).verdicts[0].verdict == "suspect"


def test_a_broken_clip_closes_the_gate():
    (worse,) = decided([0.01, -0.02, 1.1, 0.0, 0.02, 0.01]).verdicts
    assert (worse.verdict, worse.reason) == ("worse", "clip 002 is worse by 1.100, far beyond all others")
    assert decided([0.01, -0.02, 0.99, 0.0, 0.02, 0.01]).verdicts[0].verdict == "suspect"  # not 10 tolerances
    assert decided([0.2, -0.2, 1.1, 0.2, -0.2, 0.2]).verdicts[0].verdict != "worse"  # not far beyond the others
    assert decided([1.5, 0.0, 0.0]).verdicts[0].verdict == "suspect"  # three clips do not say which is odd


NOISE = [0.9, -0.8, 0.5, -0.6, 0.7, 0.1]


def test_a_headline_of_noise_is_named_and_passes():
    result = decided(NOISE, CALM)
    noisy, same = result.verdicts
    assert (noisy.verdict, same.verdict, result.exit_code) == ("noisy", "same", 0)
    assert "in both directions" in noisy.reason
    assert decided(NOISE).exit_code == 4  # nothing that can tell is left


def test_noise_does_not_dilute_what_is_certain():
    certain = [0.2, 0.25, 0.22, 0.21, 0.24, 0.23]
    (alone,) = decided(certain).verdicts
    noise = np.random.default_rng(1).normal(0, 0.6, (8, 6)).tolist()
    beside = next(v for v in decided(certain, *noise).verdicts if v.line.metric == "metric0")
    assert (alone.verdict, beside.verdict) == ("worse", "worse")
    assert beside.p_all == alone.p_all == 1 / 64


def test_suspect_is_no_pass():
    result = decided(ONE_CLIP)
    assert (result.exit_code, result.word) == (6, "suspect")
    assert isinstance(result.error(), Suspect)
    assert "--allow-suspect" in str(result.error())
    run = np.array([ONE_CLIP])
    allowed = decide(snapshot(np.zeros_like(run)), snapshot(run), allow_suspect=True)
    assert (allowed.exit_code, allowed.word, allowed.error()) == (0, "suspect, allowed", None)


def test_two_clips_are_enough_for_a_bound():
    test = stats.ttest_1samp([0.9, 0.7], 0, alternative="greater")
    (v,) = decided([0.9, 0.7]).verdicts
    assert v.p_all == v.p  # too few clips for sign flips
    assert v.low == pytest.approx(test.confidence_interval(0.95).low)
    assert v.p == pytest.approx(test.pvalue)
    (suspect,) = decided([0.6, 0.1]).verdicts
    assert suspect.clips_needed == smallest_n(0.35, np.std([0.6, 0.1], ddof=1), policy.ALPHA)


def test_the_tolerance_itself_is_tolerated():
    assert decided([TOLERANCE] * 6).verdicts[0].verdict == "same"
    assert decided([TOLERANCE + 1e-6] * 6).verdicts[0].verdict == "worse"
    assert decided([-TOLERANCE] * 6).verdicts[0].verdict == "same"
    assert decided([-TOLERANCE - 1e-6] * 6).verdicts[0].verdict == "better"


def test_a_gain_of_one_clip_is_not_better():
    assert decided([-w for w in ONE_CLIP]).verdicts[0].verdict == "same"


def test_as_many_clips_as_are_enough_go_unremarked():
    assert decided([0.0] * 6).remarks == ()
    assert decided([0.0] * 5).remarks == ("5 clips are few: below 6 the gate alarms more often and sees less",)


def test_the_worst_headline_comes_first():
    """Within one verdict by the size of the worsening, in tolerances."""
    result = decided([0.2, 0.21] * 3, CALM, [0.5, 0.51] * 3, [0.3, 0.31] * 3)
    assert [v.line.metric for v in result.verdicts] == ["metric2", "metric3", "metric0", "metric1"]
    assert str(result.error()).startswith("the gate is closed: method metric2: worse by 0.505")
    assert "(and 2 more)" in str(result.error())


def test_one_bad_headline_is_told_alone():
    assert "more)" not in str(decided([0.2, 0.21] * 3).error())


def test_missing_clips_are_named_up_to_three():
    base = snapshot(np.zeros((1, 6)))
    reasons = [decide(base, snapshot(np.zeros((1, n)))).verdicts[0].reason for n in (3, 2)]
    assert reasons == [
        "3 of 6 clips missing (003, 004, 005) from the run",
        "4 of 6 clips missing (002, 003, 004, ...) from the run",
    ]


def test_a_headline_with_missing_clips_is_not_tested():
    """Its numbers are those of the clips that are left; it takes no part in the test of the others."""
    base, run = snapshot(np.zeros((2, 6))), snapshot(np.array([[0.2, 0.3, 0.25, 0.2, 0.3, 0.25]] * 2))
    first, second = run.headlines.values()
    short = replace(first, clips={clip: v for clip, v in first.clips.items() if clip != "005"})
    result = decide(base, replace(run, headlines={first.key: short, second.key: second}))
    worse, incomplete = result.verdicts
    assert (incomplete.verdict, incomplete.n, incomplete.p, incomplete.p_all) == ("incomplete", 5, None, None)
    assert incomplete.worsening == pytest.approx(0.25)
    assert worse.p_all == 1 / 64
    assert result.exit_code == 1


def test_new_clips_are_named_up_to_six():
    result = decide(snapshot(np.zeros((1, 6))), snapshot(np.zeros((1, 13))))
    assert result.remarks == ("clips that the baseline does not have, left out: 006, 007, 008, 009, 010, 011",)


def test_an_empty_baseline_compares_nothing():
    result = decide(snapshot(np.zeros((0, 6))), snapshot(np.zeros((1, 6))))
    assert (result.exit_code, result.word) == (4, "nothing comparable")
    assert "nothing can be compared: the baseline is empty" in str(result.error())


def test_costs_count_in_shares_of_the_baselines_median():
    base, run = np.array([[1.0, 1.0, 2.0, 2.0, 4.0, 60.0]]), np.array([[1.5, 1.5, 2.5, 2.5, 4.5, 60.5]])
    (v,) = decide(change(snapshot(base), relative=True), change(snapshot(run), relative=True)).verdicts
    assert v.worsening == pytest.approx(0.25)
    assert v.reason == "worse by 25 %, 10 % is tolerated; worst clip 000 by 25 %"


def test_other_seeds_do_not_matter_to_costs():
    base, run = snapshot(np.zeros((1, 6))), change(snapshot(np.zeros((1, 6))), seeds=(0, 1))
    assert decide(base, run).remarks == ("other seeds: 0 in the baseline, 0, 1 in the run",)
    assert decide(change(base, relative=True), change(run, relative=True)).remarks == ()


def test_the_most_frequent_reason_is_told():
    lost = {f"{i:03d}": ClipValue(None, {"d": "same"}, "crashed" if i in (1, 3, 4) else f"odd {i}") for i in range(6)}
    result = decide(snapshot(np.zeros((1, 6))), change(snapshot(np.zeros((1, 6))), clips=lost))
    assert (result.verdicts[0].verdict, result.verdicts[0].n) == ("broken", 6)
    assert result.verdicts[0].reason == "no value any more: crashed"


def test_numbers_have_their_unit():
    def reason(**fields) -> str:
        run = change(snapshot(np.full((1, 6), 0.25)), **fields)
        return decide(change(snapshot(np.zeros((1, 6))), **fields), run).verdicts[0].reason

    assert reason(unit="dB", decimals=2) == "worse by 0.25 dB, 0.10 dB is tolerated; worst clip 000 by 0.25 dB"
    assert reason(decimals=0) == "worse by 0.2, 0.1 is tolerated; worst clip 000 by 0.2"
