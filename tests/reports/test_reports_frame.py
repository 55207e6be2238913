"""Run directories -> tidy frames; what does not belong together stays apart."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from lipbench.core.errors import NothingComparable, StoreError, UsageError
from lipbench.reports.frame import COLUMNS, combine, frame, load_run


def test_columns_and_values(runs):
    data = frame(runs.example())
    assert tuple(data.columns) == COLUMNS
    assert len(data) == 20 * len(runs.METRICS)
    row = data[(data.method == "wav2lip") & (data.dub == "katie@fr") & (data.metric == "psnr_full")].iloc[0]
    assert tuple(row[["run", "kind", "clip", "language", "seed"]]) == ("real", "method", "katie", "fr", 0)
    assert (row.value, row.n_valid, row.n_total, row.version) == (34.004, 50, 50, "1")
    assert row.reason is None
    assert math.isnan(row.train_seconds)
    dubbed = data[(data.method == "dubbed") & (data.metric == "psnr_full")]
    assert (dubbed.value == math.inf).all()


def test_every_missing_value_has_a_reason(runs):
    data = frame(runs.example())
    missing = data[data.value.isna()]
    assert missing.reason.notna().all()
    failed = data[(data.method == "speech2vid") & (data.dub == "office@de")]
    assert len(failed) == len(runs.METRICS)
    assert set(failed.reason) == {"oom: killed at 3.1 GB"}
    assert set(failed.status) == {"oom"}


def test_ok_cell_without_a_metric(runs):
    data = frame(runs.write([runs.cell("a", "k", "fr", {"psnr_full": 1.0})], [runs.method("a")]))
    assert data.set_index("metric").reason["lse_d"] == "not measured"
    assert data.set_index("metric").reason["psnr_full"] is None


def test_not_a_run(tmp_path, runs):
    with pytest.raises(UsageError, match="is not a run directory"):
        frame(tmp_path / "none")
    root = runs.example()
    (root / "cells.jsonl").unlink()
    with pytest.raises(UsageError, match="has no results yet"):
        frame(root)


def test_damaged_files(runs):
    root = runs.example()
    with open(root / "cells.jsonl", "a") as file:
        file.write('{"method": "cut o')
    with pytest.raises(StoreError, match="line 21"):
        frame(root)
    about = json.loads((root / "run.json").read_text())
    (root / "run.json").write_text(json.dumps({**about, "schema": 2}))
    with pytest.raises(StoreError, match="its schema is 2"):
        frame(root)
    (root / "run.json").write_text("{")
    with pytest.raises(StoreError):
        frame(root)


def test_runs_with_other_sync_models_are_never_mixed(runs):
    a = load_run(runs.example())
    with pytest.raises(NothingComparable, match="the sync model is syncnet_v2 in one and demo in the other") as caught:
        combine([a, load_run(runs.example(name="other", sync_model="demo"))])
    assert caught.value.exit_code == 4


def test_runs_with_other_metric_versions_or_clips(runs):
    a = load_run(runs.example())
    metrics = [{**m, "version": "2"} if m["id"] == "lpips_full" else m for m in runs.METRICS]
    with pytest.raises(NothingComparable, match="lpips_full has version 1 in one and 2 in the other"):
        combine([a, load_run(runs.example(name="newer", metrics=metrics))])
    b = runs.write([runs.cell("x", "elsewhere", "fr", {})], [runs.method("x")], name="b")
    with pytest.raises(NothingComparable, match="share no clip"):
        combine([a, load_run(b)])


def test_combine_tells_shared_labels_apart(runs):
    a = load_run(runs.example())
    b = runs.write(
        [runs.cell("wav2lip", "katie", "fr", {"psnr_full": 1.0}), runs.cell("new", "katie", "fr", {})],
        [runs.method("wav2lip"), runs.method("new")],
        name="second",
    )
    both = combine([a, load_run(b)])
    assert both.name == "real + second"
    assert list(both.methods)[-2:] == ["wav2lip (second)", "new"]
    assert "wav2lip (real)" in both.methods
    assert set(both.frame.method) == set(both.methods)
    assert combine([a]) is a


def test_two_runs_of_one_name(runs, tmp_path):
    root = runs.write([runs.cell("x", "katie", "fr", {})], [runs.method("x")])
    both = combine([load_run(root), load_run(root)])
    assert list(both.methods) == ["x (real)", "x (real #2)"]


def test_reports_do_not_import_torch():
    code = "import lipbench.reports.tables, lipbench.reports.writers, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_renamed_method_has_its_present_name_in_runs_of_before(runs):
    methods = [runs.method("still_mouth", "Still mouth", "control"), runs.method("own", id="still_mouth")]
    cells = [runs.cell(label, "a", "fr", {"psnr_full": 30.0}) for label in ("still_mouth", "own")]
    cells[1]["method_id"] = "still_mouth"
    run = load_run(runs.write(cells, methods))
    assert [(m["label"], m["id"]) for m in run.methods.values()] == [
        ("still-mouth", "still-mouth"),
        ("own", "still-mouth"),
    ]
    assert set(run.frame["method"]) == {"still-mouth", "own"}  # a label that somebody chose stays
    assert set(run.frame["method_id"]) == {"still-mouth"}
    assert run.methods["still-mouth"]["title"] == "Still mouth"
