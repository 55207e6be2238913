"""lipbench trend: history file, steps and charts."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from lipbench.cli.trend import main
from lipbench.core.errors import StoreError, UnknownName, UsageError
from lipbench.reports import trend, trend_charts
from lipbench.reports.statistics import mean_interval
from lipbench.reports.steps import steps


def at(bench, name, day, shift=0.0, **options):
    """A run whose videos were made on that day and whose LSE-D is shifted."""

    def change(number, values):
        values["lse_d"] += shift

    root = bench.write(name, {"ours": bench.cells(3, change)}, **options)
    lines = [json.loads(line) for line in (root / "cells.jsonl").read_text().splitlines()]
    for line in lines:
        line["timing"]["started"] = 1.7e9 + 86400.0 * day
    (root / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


# ---- steps ----------------------------------------------------------------------------------------------------


def test_a_step_in_noise():
    values = np.random.default_rng(0).normal(0, 0.1, 40)
    values[25:] += 1
    ((index, old, new),) = steps(values)
    assert index == 25
    assert (old, new) == pytest.approx((0, 1), abs=0.1)


def test_no_step():
    rng = np.random.default_rng(1)
    assert sum(bool(steps(rng.normal(0, 1, 20))) for _ in range(60)) <= 3
    assert steps(np.zeros(10)) == []
    assert steps(np.array([0.0, 0.0, 9.0])) == []
    assert steps(np.array([0.0, 0, 0, 0, 9, 0, 0, 0, 0])) == []  # one odd run


def test_levels_of_a_deterministic_method():
    assert steps(np.array([7.0, 7, 7, 8, 8, 8, 6, 6]), floor=0.02) == [(3, 7.0, 8.0), (6, 8.0, 6.0)]
    assert steps(np.array([7.0, 7, 7, 7.001, 7.001]), floor=0.02) == []


# ---- history --------------------------------------------------------------------------------------------------


def test_rows_are_the_tables_means(bench):
    data = trend.rows(at(bench, "a", 0)).set_index("metric")
    row = data.loc["lse_d"]
    interval = mean_interval([7.0, 7.2, 7.4])
    assert (row["mean"], row["n"], row["method"], row["sync_model"]) == (pytest.approx(7.2), 3, "ours", "model-a")
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert row["when"] == pd.Timestamp(1.7e9, unit="s", tz="UTC")
    assert bool(row["headline"])
    assert not data.loc["synthesize_s", "headline"]


def test_incomplete_means_are_none(bench):
    cells = bench.cells(3)
    cells["clip1"] = {"fr": "no_face: nobody"}
    data = trend.rows(bench.write("a", {"ours": cells})).set_index("metric")
    assert np.isnan(data.loc["lse_d", "mean"])
    assert (data.loc["lse_d", "n"], data.loc["lse_d", "total"]) == (2, 3)


def test_history_outlives_its_runs(bench, tmp_path):
    path = tmp_path / "h" / trend.FILE
    first = trend.collect([at(bench, "b", 2), at(bench, "a", 1)], path)
    trend.write(path, first)
    assert list(first["run"].unique()) == ["a", "b"]
    shutil.rmtree(tmp_path / "a")
    both = trend.collect([at(bench, "c", 3), tmp_path / "b"], path)
    assert list(both["run"].unique()) == ["a", "b", "c"]
    assert len(both[both["metric"] == "lse_d"]) == 3
    pd.testing.assert_frame_equal(trend.read(path), first)


def test_a_renamed_method_is_one_line_of_the_history(bench, tmp_path):
    history = tmp_path / "history.parquet"
    old = trend.rows(at(bench, "old", 1))
    trend.write(history, old.assign(method="shifted_audio"))
    assert set(trend.read(history)["method"]) == {"shifted-audio"}


def test_another_sync_model_cuts_the_line(bench):
    runs = [
        at(bench, "a", 0),
        at(bench, "b", 1),
        at(bench, "c", 2, sync_model="model-b"),
        at(bench, "d", 3, sync_model="model-b"),
    ]
    data = trend.collect(runs)
    sync, image = (data[data["metric"] == m] for m in ("lse_d", "ssim_full"))
    assert [list(s["run"]) for s in trend.stretches(sync)] == [["a", "b"], ["c", "d"]]
    assert [list(s["run"]) for s in trend.stretches(image)] == [["a", "b", "c", "d"]]
    last = {line["metric"]: line for line in trend.summary(data, ["lse_d", "ssim_full"])}
    assert last["lse_d"]["comparable"] is True
    earlier = trend.summary(data[data["run"] < "d"], ["lse_d"])[0]
    assert (earlier["comparable"], earlier["change"]) == (False, None)


def test_steps_of_runs(bench):
    runs = [at(bench, f"n{i}", i, 0.01 * (i % 2) + (1.0 if i >= 4 else 0.0)) for i in range(7)]
    (found,) = trend.find_steps(trend.collect(runs))
    assert (found.metric, found.before, found.at, found.worse) == ("lse_d", "n3", "n4", True)
    assert found.new - found.old == pytest.approx(1, abs=0.02)


def test_charts(bench, tmp_path):
    data = trend.collect([at(bench, "a", 0), at(bench, "b", 1, 0.5), at(bench, "c", 2, 0.5, sync_model="model-b")])
    files = trend_charts.draw(data, trend.metrics_of(data), tmp_path / "t")
    assert {f.name for f in files} == {
        f"{m}.svg" for m in ("lse_d", "lse_c", "av_offset", "lse_d_at_zero", "ssim_full")
    }
    text = (tmp_path / "t" / "lse_d.svg").read_text()
    assert "LSE-D: mean over clips, 95 % t interval; lower is better" in text
    assert text == trend_charts.draw(data, ["lse_d"], tmp_path / "u")[0].read_text()
    assert (trend_charts.draw(data, ["lse_d"], tmp_path / "p", form="png")[0]).read_bytes()[:4] == b"\x89PNG"


def test_damaged_history(tmp_path):
    path = tmp_path / trend.FILE
    path.write_text("no")
    with pytest.raises(StoreError, match="cannot read"):
        trend.collect([], path)
    pd.DataFrame({"x": [1]}).to_parquet(path)
    with pytest.raises(StoreError, match="is not a history"):
        trend.collect([], path)


# ---- the command ----------------------------------------------------------------------------------------------


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def test_command(bench, tmp_path):
    out = tmp_path / "out"
    runs = [at(bench, f"n{i}", i, 1.0 if i >= 2 else 0.0) for i in range(4)]
    text = call(*runs[:3], "-o", out, "--metric", "lse_d").output
    assert text.splitlines()[0].endswith("trend.parquet: 3 runs, 1 charts")
    assert "ours lse_d: 8.200 over 3 clips, +1.000 since the run before" in text
    data = json.loads(call(runs[3], "-o", out, "--metric", "lse_d", "--steps", "--json").output)
    assert data["runs"] == 4
    assert [(s["at"], s["worse"]) for s in data["steps"]] == [("n2", True)]
    assert (out / "lse_d.svg").exists()


def test_command_errors(bench, tmp_path):
    assert isinstance(call("-o", tmp_path / "none").exception, UsageError)
    assert not (tmp_path / "none").exists()
    assert isinstance(call(at(bench, "a", 0), "-o", tmp_path / "t", "--metric", "nope").exception, UnknownName)
    assert isinstance(call(tmp_path / "nowhere", "-o", tmp_path / "t").exception, UsageError)


def test_nightly_runs_of_one_name(bench, tmp_path):
    """The run file's name is the same every night, and so may the folder's be."""
    path = tmp_path / "h" / trend.FILE
    for day in range(3):
        bench.folder = tmp_path / f"night{day}"
        bench.folder.mkdir()
        trend.write(path, trend.collect([at(bench, "ci", day)], path))
    data = trend.read(path)
    assert len(data[data["metric"] == "lse_d"]) == 3
    (chart,) = trend_charts.draw(data, ["lse_d"], tmp_path / "t")
    assert "11-14 22:13" in chart.read_text()
