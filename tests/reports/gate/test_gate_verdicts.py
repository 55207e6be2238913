"""Verdicts and exit codes on run directories that the engine's writers made."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lipbench.core.errors import Regression
from lipbench.reports import gate
from lipbench.reports.gate import policy
from lipbench.reports.gate.verdict import ORDER
from tests.reports.gate.answers import damped, delayed, verdicts


def test_unchanged_rerun(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells()})
    assert verdicts(result) == dict.fromkeys(("lse_d", "lse_d_at_zero", "av_offset", "ssim_full"), "same")
    assert (result.exit_code, result.word, result.error(), result.remarks) == (0, "fine", None, ())


def test_rerun_with_small_noise(bench, closed):
    result = closed({"ours": bench.cells(seed=1)}, {"ours": bench.cells(seed=2)})
    assert set(verdicts(result).values()) == {"same"}


def test_delayed_mouth(bench, closed):
    """6 frames late: LSE-D, taken at the best shift, does not see it; offset and the distance without a shift do."""
    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=delayed)})
    assert verdicts(result) == {"av_offset": "worse", "lse_d_at_zero": "worse", "lse_d": "same", "ssim_full": "same"}
    assert result.exit_code == 1
    error = result.error()
    assert isinstance(error, Regression)
    assert error.what.startswith("the gate is closed: ours LSE-D at 0: worse by 2.250, 0.100 is tolerated; all 6 clips")
    offset = next(v for v in result.verdicts if v.line.metric == "av_offset")
    assert (offset.baseline, offset.run, offset.worsening) == (0.5, 5.5, 5.0)
    assert list(offset.clips.values()) == sorted(offset.clips.values(), reverse=True)


def test_damped_mouth(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=damped)})
    assert verdicts(result)["lse_d"] == "worse"
    assert verdicts(result)["av_offset"] == "same"
    assert result.exit_code == 1


def test_better(bench, closed):
    def sharper(number, values):
        values["lse_d"] -= 0.5 + 0.01 * number
        values["ssim_full"] += 0.02

    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=sharper)})
    assert verdicts(result) == {"lse_d": "better", "ssim_full": "better", "av_offset": "same", "lse_d_at_zero": "same"}
    assert result.exit_code == 0


def test_suspect_names_the_clips_that_would_settle_it(bench, closed):
    """Mean 0.15 worse, but one clip makes all of it."""

    def once(number, values):
        values["lse_d"] += 0.9 if number == 0 else 0.0

    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=once)})
    assert verdicts(result)["lse_d"] == "suspect"
    (suspect,) = [v for v in result.verdicts if v.verdict == "suspect"]
    assert suspect.clips_needed > 6
    assert f"about {suspect.clips_needed} clips would settle it" in suspect.reason
    assert result.exit_code == 6


def test_one_clip_closes_the_gate_on_a_disaster_only(bench, closed):
    few = {"allow": ["few-clips"]}
    result = closed({"ours": bench.cells(1)}, {"ours": bench.cells(1, change=damped)}, accept=few)
    assert verdicts(result)["lse_d"] == "worse"  # ten tolerances
    assert result.exit_code == 1
    assert result.remarks[0].startswith("1 clip: the gate closes on a worsening beyond 4 tolerances only; give it 6")

    def little(number, values):
        values["lse_d"] += 0.2

    bench.folder = bench.folder / "little"
    bench.folder.mkdir()
    result = closed({"ours": bench.cells(1)}, {"ours": bench.cells(1, change=little)}, accept=few)
    assert verdicts(result)["lse_d"] == "suspect"
    assert result.exit_code == 6


def test_few_clips_are_remarked(bench, closed):
    result = closed({"ours": bench.cells(2)}, {"ours": bench.cells(2)}, accept={"allow": ["few-clips"]})
    assert result.remarks == ("2 clips are few: below 6 the gate alarms more often and sees less",)


def test_worsening_within_the_tolerance(bench, closed):
    def slightly(number, values):
        values["lse_d"] += 0.09

    assert verdicts(closed({"ours": bench.cells()}, {"ours": bench.cells(change=slightly)}))["lse_d"] == "same"


def test_tolerance_of_the_baseline_counts(bench, closed):
    def slightly(number, values):
        values["lse_d"] += 0.09

    accept = {"tolerances": {"lse_d": 0.05}}
    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=slightly)}, accept=accept)
    assert verdicts(result)["lse_d"] == "worse"


def test_one_test_over_all_headlines(bench, closed):
    """Sure alone; among twenty numbers that vary on their own, it may be chance."""
    steps = [0.05, 0.55, 0.02, 0.42, 0.12, 0.6]

    def noisy(number, values):
        values["lse_d"] += steps[number]

    one = closed({"ours": bench.cells()}, {"ours": bench.cells(change=noisy)}, accept={"metrics": ["lse_d"]})
    assert verdicts(one) == {"lse_d": "worse"}
    bench.folder = bench.folder / "many"
    bench.folder.mkdir()
    rng = np.random.default_rng(0)

    def varied(number, values):
        for name in values:
            values[name] += rng.normal(0, 0.002)

    others = {f"other{i}": bench.cells() for i in range(4)}
    again = {f"other{i}": bench.cells(change=varied) for i in range(4)}
    many = closed({"ours": bench.cells(), **others}, {"ours": bench.cells(change=noisy), **again})
    assert verdicts(many)["lse_d"] == "suspect"
    alone, among = (next(v for v in r.verdicts if v.line.key == ("ours", "lse_d")) for r in (one, many))
    assert among.p == pytest.approx(alone.p)
    assert among.p_all > alone.p_all


def test_infinite_psnr_counts_as_100_db(bench, closed):
    def equal(number, values):
        values["ssim_full"] = float("inf")

    accept = {"metrics": ["ssim_full"], "tolerances": {"ssim_full": 1.0}, "allow": ["no-sync"]}
    same = closed({"ours": bench.cells(change=equal)}, {"ours": bench.cells(change=equal)}, accept=accept)
    assert verdicts(same) == {"ssim_full": "same"}
    bench.folder = bench.folder / "worse"
    bench.folder.mkdir()
    worse = closed({"ours": bench.cells(change=equal)}, {"ours": bench.cells()}, accept=accept)
    assert verdicts(worse) == {"ssim_full": "worse"}
    assert worse.verdicts[0].baseline == float("inf")
    assert worse.verdicts[0].worsening == pytest.approx(100 - 0.925)


def test_costs_on_the_same_machine(bench, closed):
    accept = {"metrics": ["synthesize_s", "lse_d"]}
    same = closed({"ours": bench.cells()}, {"ours": bench.cells()}, accept=accept, run_wall_s=12.0)
    assert verdicts(same) == {"lse_d": "same", "synthesize_s": "same"}
    bench.folder = bench.folder / "slow"
    bench.folder.mkdir()
    slow = closed({"ours": bench.cells()}, {"ours": bench.cells()}, accept=accept, run_wall_s=13.0)
    assert verdicts(slow)["synthesize_s"] == "worse"
    assert "worse by 30 %, 25 % is tolerated" in slow.verdicts[0].reason


def test_costs_on_another_machine(bench):
    path = bench.folder / "gate.json"
    gate.accept(
        bench.write("old", {"ours": bench.cells()}), path, "because", metrics=["synthesize_s"], allow=["no-sync"]
    )
    root = bench.write("new", {"ours": bench.cells()}, wall_s=99.0)
    about = json.loads((root / "run.json").read_text())
    about["provenance"]["cores"] = 999
    (root / "run.json").write_text(json.dumps(about))
    result = gate.decide(gate.read(path), gate.snapshot(root))
    assert verdicts(result) == {"synthesize_s": "incomparable"}


def test_changed_metric_code_is_not_a_worse_method(bench, closed):
    changed = dict.fromkeys(("lse_d", "lse_d_at_zero"), "7.1 was stored, now it is 8.2")
    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=damped)}, changed=changed)
    assert verdicts(result)["lse_d"] == "incomparable"
    assert "the metric's code has changed" in next(v.reason for v in result.verdicts if v.line.metric == "lse_d")


def test_seeds_are_averaged_and_named(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells()}, run_seeds=(0, 1))
    assert result.exit_code == 0
    assert result.remarks == ("other seeds: 0 in the baseline, 0, 1 in the run",)


def test_worst_first(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=delayed)})
    order = [ORDER.index(v.verdict) for v in result.verdicts]
    assert order == sorted(order)


def test_policy():
    assert policy.tolerance("lse_d", 1e-3) == 0.1
    assert policy.tolerance("av_offset", 0.0) == 1.0
    assert policy.tolerance("somebodys_metric", 0.3) == 0.3


def test_of_a_high_psnr_what_nobody_sees_is_tolerated():
    one_gray_level = 10 * np.log10(255**2)  # 48.13 dB: as much error again halves it, 3 dB
    assert policy.unseen_db(one_gray_level) == pytest.approx(10 * np.log10(2))
    assert policy.tolerance("psnr_mouth", 0.01, [30.0, 31.0]) == 0.25
    assert policy.tolerance("psnr_mouth", 0.01, [43.91]) == pytest.approx(1.39, abs=0.01)
    assert policy.tolerance("psnr_mouth", 0.01, [42.0, None, np.inf, 45.82]) == pytest.approx(1.39, abs=0.01)
    assert policy.tolerance("psnr_mouth", 0.01, [60.0]) == policy.WIDEST_PSNR
    assert policy.tolerance("psnr_mouth", 0.01, [np.inf]) == 0.25
    assert policy.tolerance("ssim_mouth", 0.0, [43.91]) == 0.005
    assert policy.is_sync("lse_d_at_zero")
    assert policy.is_sync("av_offset")
    assert not policy.is_sync("psnr_full")
    assert {"av_offset", "lse_d_at_zero", "lse_d"} <= set(policy.HEADLINES)
    assert {"psnr_mouth", "ssim_mouth", "lpips_mouth"} <= set(policy.HEADLINES)
