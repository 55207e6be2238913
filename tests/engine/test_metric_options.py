"""Options of metric families: from a run file's `metrics` to keys, records and numbers."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from click.testing import CliRunner

from lipbench.cli.score import main as score_command
from lipbench.core.errors import ManifestError, NothingComparable, UnknownName, UsageError
from lipbench.core.store import Store
from lipbench.engine import api
from lipbench.engine.config import parse_run_file
from lipbench.engine.index import write_run
from lipbench.engine.rows import families, narrowed
from lipbench.reports.frame import combine, load_run

pytestmark = pytest.mark.usefixtures("in_process")


def config(*metrics, **fields):
    return parse_run_file({"manifest": "m", "methods": ["dubbed"], "metrics": list(metrics), **fields}, "run.yaml")


def options(*metrics, **fields):
    return {family.id: values for family, values in families(config(*metrics, **fields))}


def run(manifest, out, *metrics, **overrides):
    request = {"manifest": "tiny", "methods": ["fake-copy"], "metrics": list(metrics), "languages": ["fr"]}
    prepared = api.prepare(request, out=out, manifest=manifest, overrides=overrides)
    return api.execute(prepared, workers=1, quiet=True)


def grays(result):
    return [cell["metrics"]["gray"]["value"] for cell in result.cells]


def test_a_plug_ins_option_changes_its_numbers_and_its_stages_alone(manifest, tmp_path):
    plain = run(manifest, tmp_path / "run", "fake")
    doubled = run(manifest, tmp_path / "run", {"id": "fake", "params": {"gain": 2}})
    assert grays(doubled) == pytest.approx([2 * value for value in grays(plain)])
    how = Counter((node.split(" ")[0], state.how) for node, state in doubled.outcome.states.items())
    assert how == {("clip", "cached"): 2, ("dub", "cached"): 2, ("synthesize", "cached"): 2, ("score", "run"): 2}
    record = Store(tmp_path / "run").get(doubled.cells[0]["keys"]["score"]["fake"])
    assert record.preimage["options"] == {"gain": 2.0}
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["metric_options"] == {"fake": {"gain": 2.0}}
    assert about["request"]["metrics"] == [{"id": "fake", "params": {"gain": 2}}]


def test_an_option_at_its_default_is_the_same_as_none(manifest, tmp_path):
    run(manifest, tmp_path / "run", "fake")
    again = run(manifest, tmp_path / "run", {"id": "gray", "params": {"gain": 1}})
    assert {state.how for state in again.outcome.states.values()} == {"cached"}
    shown = json.loads((tmp_path / "run" / "run.json").read_text())["metrics"]
    assert [metric["id"] for metric in shown] == ["gray"]


def test_fewer_metrics_on_the_command_line_keep_the_run_files_options(manifest, tmp_path):
    entry = {"id": "fake", "params": {"gain": 3}}
    assert grays(run(manifest, tmp_path / "run", entry, "image", metrics=("gray",))) == grays(
        run(manifest, tmp_path / "run", entry)
    )
    assert narrowed(config(entry), ["gr*", "psnr_full"]) == [
        *config({"id": "gray", "params": {"gain": 3}}, {"id": "gray_diff", "params": {"gain": 3}}).metrics,
        *config("psnr_full").metrics,
    ]


def test_runs_with_other_options_share_no_table(manifest, tmp_path):
    run(manifest, tmp_path / "one", "fake")
    run(manifest, tmp_path / "two", {"id": "fake", "params": {"gain": 2}})
    run(manifest, tmp_path / "three", {"id": "fake", "params": {"gain": 1}})
    one, two, three = (load_run(tmp_path / name) for name in ("one", "two", "three"))
    with pytest.raises(NothingComparable, match=r"version 1 in one and 1 with gain=2\.0 in the other"):
        combine([one, two])
    assert combine([one, three]).metrics["gray"]["version"] == "1"


def test_sync_model_protocol_and_sync_are_options_of_the_sync_family():
    short = options("sync", sync_model="demo", protocol="cropped", sync={"min_track": 5})
    assert short == options({"id": "lse_d", "params": {"sync_model": "demo", "protocol": "cropped", "min_track": 5}})
    assert short["sync"]["boxes_from"] == "reference"
    assert options("sync")["sync"]["sync_model"] == "syncnet_v2"


def test_tables_name_the_sync_model_that_the_params_name(manifest, tmp_path):
    run(manifest, tmp_path / "run", {"id": "sync", "params": {"sync_model": "demo", "protocol": "cropped"}})
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (about["sync_model"], about["protocol"]) == ("demo", "cropped")
    assert about["sync_model_details"]["name"] == about["sync_model_details"]["identity"]["sync_model"] == "demo"


def test_patterns_mean_families_or_metrics():
    assert list(options("psnr_*", "lse_?")) == ["image", "sync"]
    assert list(options("*")) == list(options())
    assert config("psnr_*").asks("image", "psnr_full")
    assert not config("psnr_*").asks("image", "ssim_full")
    with pytest.raises(UnknownName, match="psnr_full"):
        options("psnr_ful")


def test_what_is_measured_on_request_alone_is_in_no_other_pattern():
    assert "lpips" in options()
    assert "lpips-vgg" not in options()
    assert list(options("lpips_*", "*")) == list(options())
    assert list(options("lpips*")) == ["lpips"]
    assert (
        list(options("lpips_vgg_*")) == list(options("lpips-vgg")) == list(options("lpips_vgg_full")) == ["lpips-vgg"]
    )


def test_titles_of_columns_say_what_an_option_makes_of_a_number(tmp_path):
    chosen = config({"id": "lpips", "params": {"every": 4}}, "image")
    write_run(tmp_path, chosen, "digest", [], families(chosen), [])
    about = json.loads((tmp_path / "run.json").read_text())
    found = {metric["id"]: metric for metric in about["metrics"]}
    assert found["lpips_full"]["title"] == "LPIPS, every 4th frame"
    assert found["lpips_full"]["version"] == "1 with every=4"
    assert found["psnr_full"]["title"] == "PSNR"


@pytest.mark.parametrize(
    ("metrics", "fields", "error", "message"),
    [
        ([{"id": "fake", "params": {"gian": 2}}], {}, UsageError, "'gian'"),
        ([{"id": "fake", "params": {"gain": 0}}], {}, UsageError, "'gain'"),
        ([{"id": "image", "params": {"gain": 1}}], {}, UsageError, "known options: align"),
        (
            ["gray", {"id": "fake", "params": {"gain": 2}}, {"id": "gray", "params": {"gain": 3}}],
            {},
            UsageError,
            "twice",
        ),
        (
            [{"id": "sync", "params": {"sync_model": "demo"}}],
            {"sync_model": "syncnet_v2"},
            UsageError,
            "'sync_model' is given twice",
        ),
        (["sync"], {"sync": {"min_trak": 1}}, UsageError, "'min_trak'"),
        ([{"id": "fake", "parms": {}}], {}, ManifestError, "metrics"),
    ],
)
def test_mistakes_are_named_before_anything_runs(metrics, fields, error, message):
    with pytest.raises(error, match=message) as caught:
        options(*metrics, **fields)
    assert caught.value.what
    assert caught.value.fix


def score(folder, *args):
    video = folder / "one.mp4"
    command = [str(video), "--reference", str(video), "--metric", "gray", "--json", *args]
    return CliRunner().invoke(score_command, command)


def test_a_video_outside_any_run_is_scored_with_options_too(media_files):
    plain, doubled = (json.loads(score(media_files, *more).stdout) for more in ([], ["--option", "fake.gain=2"]))
    assert list(doubled["metrics"]) == ["gray"]
    assert doubled["metrics"]["gray"]["value"] == pytest.approx(2 * plain["metrics"]["gray"]["value"])
    assert isinstance(score(media_files, "--option", "fake.gian=2").exception, UsageError)
    assert isinstance(score(media_files, "--option", "sync.min_track=2").exception, UsageError)
    assert isinstance(score(media_files, "--option", "fke.gain=2").exception, UnknownName)
    assert score(media_files, "--option", "gain=2").exit_code == 2
