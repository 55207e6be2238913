"""What the gate compares with what, and what it says of the rest: other models, inputs, machines, missing numbers."""

from __future__ import annotations

import json

import pytest

from lipbench.core.errors import NothingComparable, RunIncomplete
from lipbench.reports import gate
from tests.reports.gate.answers import delayed, verdicts


def test_missing_clip(bench, closed):
    result = closed({"ours": bench.cells(6)}, {"ours": bench.cells(5)})
    assert set(verdicts(result).values()) == {"incomplete"}
    assert result.exit_code == 3
    assert isinstance(result.error(), RunIncomplete)
    assert "1 of 6 clips missing (clip5) from the run" in str(result.error())


def test_clip_that_failed_tells_why(bench, closed):
    cells = bench.cells()
    cells["clip2"] = {"fr": "no_face: nobody is in the image"}
    result = closed({"ours": bench.cells()}, {"ours": cells})
    assert result.exit_code == 3
    assert result.verdicts[0].reason == "1 of 6 clips missing (clip2): no_face: nobody is in the image"


def test_missing_language_is_a_missing_clip(bench, closed):
    """A mean over fewer languages is another number, even where the run asked for no more."""
    result = closed({"ours": bench.cells(languages=("fr", "de"))}, {"ours": bench.cells()})
    assert set(verdicts(result).values()) == {"incomplete"}


def test_regression_counts_more_than_a_missing_clip(bench, closed):
    cells = bench.cells(change=delayed)
    for language in cells["clip0"].values():
        language["ssim_full"] = "unsupported: too small"
    result = closed({"ours": bench.cells()}, {"ours": cells})
    assert verdicts(result)["ssim_full"] == "incomplete"
    assert result.exit_code == 1


def test_other_sync_model(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells()}, run_sync_model="model-b")
    assert verdicts(result) == {
        "lse_d": "incomparable",
        "lse_d_at_zero": "incomparable",
        "av_offset": "incomparable",
        "ssim_full": "same",
    }
    assert result.exit_code == 4
    error = result.error()
    assert isinstance(error, NothingComparable)
    assert "the sync model differs: name is model-a in the baseline, model-b in the run" in str(error)


@pytest.mark.parametrize("change", [{"run_sha": "b" * 64}, {"run_sha": None}, {"run_protocol": "cropped"}])
def test_other_weights_or_protocol_are_another_sync_model(bench, closed, change):
    assert closed({"ours": bench.cells()}, {"ours": bench.cells()}, **change).exit_code == 4


def test_other_sync_model_does_not_hide_a_worse_image(bench, closed):
    def blurred(number, values):
        values["ssim_full"] -= 0.2

    result = closed({"ours": bench.cells()}, {"ours": bench.cells(change=blurred)}, run_sync_model="model-b")
    assert verdicts(result)["ssim_full"] == "worse"
    assert result.exit_code == 1


def test_other_metric_version(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells()}, run_ssim="2")
    assert verdicts(result)["ssim_full"] == "incomparable"
    assert "version of ssim_full is 1 in the baseline, 2 in the run" in result.verdicts[0].reason
    assert result.exit_code == 0  # the sync headlines are still comparable


def test_other_gpu(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells()}, gpus=("A100",), run_gpus=("H100",))
    assert set(verdicts(result).values()) == {"incomparable"}
    assert result.exit_code == 4
    assert "gpus[0] is A100 in the baseline, H100 in the run" in result.verdicts[0].reason


def test_other_sound(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells()}, run_sounds={"clip3/fr": "a better take"})
    assert set(verdicts(result).values()) == {"incomparable"}
    assert "the inputs of clip3/fr differ" in result.verdicts[0].reason


def test_more_languages_and_clips(bench, closed):
    result = closed({"ours": bench.cells()}, {"ours": bench.cells(languages=("fr", "it"))})
    assert "has dubs that the baseline does not know: clip0/it" in result.verdicts[0].reason
    assert result.exit_code == 4


def test_more_clips_are_left_out(bench, closed):
    result = closed({"ours": bench.cells(6)}, {"ours": bench.cells(8)})
    assert result.exit_code == 0
    assert result.remarks == ("clips that the baseline does not have, left out: clip6, clip7",)


def test_runs_without_digests_of_dubs(bench):
    """Runs of an older lipbench: the data set as a whole decides."""
    roots = [bench.write(name, {"ours": bench.cells()}) for name in ("old", "new")]
    for root in roots:
        lines = [json.loads(line) for line in (root / "cells.jsonl").read_text().splitlines()]
        for line in lines:
            del line["keys"]["dub"]
        (root / "cells.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = bench.folder / "gate.json"
    gate.accept(roots[0], path, "because")
    assert gate.decide(gate.read(path), gate.snapshot(roots[1])).exit_code == 0
    about = (roots[1] / "run.json").read_text().replace("d" * 64, "e" * 64)
    (roots[1] / "run.json").write_text(about)
    result = gate.decide(gate.read(path), gate.snapshot(roots[1]))
    assert result.exit_code == 4
    assert "is unknown: the data set differs" in result.verdicts[0].reason


def test_broken(bench, closed):
    cells = {c: dict.fromkeys(("fr",), "crashed: signal 11") for c in bench.cells()}
    result = closed({"ours": bench.cells()}, {"ours": cells})
    assert set(verdicts(result).values()) == {"broken"}
    assert result.exit_code == 1
    assert "no value any more: crashed: signal 11" in str(result.error())


@pytest.mark.parametrize("reason", ["weights_missing: ours is not here", "weights_mismatch: another file"])
def test_what_was_not_measured_is_not_broken(bench, closed, reason):
    cells = {c: dict.fromkeys(("fr",), reason) for c in bench.cells()}
    result = closed({"ours": bench.cells()}, {"ours": cells})
    assert set(verdicts(result).values()) == {"incomplete"}
    assert result.exit_code == 3


def test_unfinished_run(bench, closed):
    cells = {c: dict.fromkeys(("fr",), "later") for c in bench.cells()}
    result = closed({"ours": bench.cells()}, {"ours": cells}, run_pending=True)
    assert result.exit_code == 3
    assert "not run yet" in result.verdicts[0].reason


def test_absent_method(bench, closed):
    result = closed({"ours": bench.cells(), "theirs": bench.cells()}, {"ours": bench.cells()})
    assert set(verdicts(result, "theirs").values()) == {"incomplete"}
    assert "the run has no method theirs" in str(result.error())


def test_fixed(bench, closed):
    def without(number, values):
        values["ssim_full"] = "unsupported: too small"

    accept = {"metrics": ["ssim_full", "lse_d"]}
    result = closed({"ours": bench.cells(change=without)}, {"ours": bench.cells()}, accept=accept)
    assert verdicts(result) == {"ssim_full": "fixed", "lse_d": "same"}
    assert result.exit_code == 0
