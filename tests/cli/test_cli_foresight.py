"""What cannot be measured is said before the work, each reason once, with the one command that gets what is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli import list as list_command
from lipbench.cli import run, weights
from lipbench.core import weights as registry
from lipbench.core.errors import RunIncomplete, WeightsMissing
from lipbench.engine import api
from lipbench.metrics.functional import identity


def call(command, *args):
    return CliRunner().invoke(command.main, [str(a) for a in args])


@pytest.fixture
def asks(tiny: Path):
    """Writes a run file beside the tiny manifest."""

    def write(name: str, methods: str, metrics: str = "[]", more: str = "") -> Path:
        path = tiny / f"{name}.yaml"
        path.write_text(f"name: {name}\nmanifest: tiny.yaml\nmethods: {methods}\nmetrics: {metrics}\n{more}")
        return path

    return write


def plan(path: Path, out: Path) -> dict:
    result = call(run, path, "--out", out, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_missing_weights_are_said_once_with_one_command(asks, tmp_path):
    path = asks("lacks", "[dubbed, wav2lip, {id: wav2lip, label: other, params: {pads: [0, 0, 0, 0]}}]")
    found = plan(path, tmp_path / "run")
    lacking = [name for one in found["obstacles"] for name in one["weights"]]
    assert sorted(lacking) == ["alexnet", "mediapipe-face", "syncnet_v2", "wav2lip"]  # each once
    by_weights = {one["weights"][0]: one for one in found["obstacles"] if one["weights"]}
    assert {"lse_d", "lse_c", "av_offset"} <= set(by_weights["syncnet_v2"]["metrics"])
    assert "lpips_full" in by_weights["alexnet"]["metrics"]
    assert by_weights["wav2lip"]["what"] == "make wav2lip, other"
    # The clips bring landmarks; what the methods make of them has to be searched.
    assert set(by_weights["mediapipe-face"]["metrics"]) >= {"mld"}
    assert "psnr_mouth" not in by_weights["alexnet"]["metrics"]
    assert found["get"] == f"lipbench weights get --for {path}"
    text = found["text"]
    assert text.count(found["get"]) == 1
    assert text.count("the weights 'syncnet_v2' are not on this machine") == 1
    assert "wav2lip: download " in text  # what no program can fetch
    assert text.count("the weights 'wav2lip' are not on this machine") == 1
    assert len(found["refused"]) == 8  # JSON names every stage


def test_nothing_is_said_where_nothing_is_missing(tiny, tmp_path):
    found = plan(tiny / "run.yaml", tmp_path / "run")
    assert (found["obstacles"], found["get"]) == ([], "")


def test_dubs_too_short_for_the_sync_protocol(asks, tmp_path):
    found = plan(asks("short", "[dubbed]", "[lse_d, psnr_full]", "sync_model: demo\n"), tmp_path / "run")
    (one,) = found["obstacles"]
    assert one["what"] == "measure lse_d of one/fr (0.80 s), two/fr (0.80 s)"
    assert one["why"] == "too_short: 20 frames at 25 fps, more than 100 are needed (option sync.min_track)"
    enough = asks("enough", "[dubbed]", "[lse_d]", "sync_model: demo\nsync: {min_track: 19}\n")
    assert plan(enough, tmp_path / "run")["obstacles"] == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("size", "wrong_size: .*it is 32 x 24, the clip is 64 x 48"),
        ("length", "length_mismatch: .*it has 15 frames at 25 fps, dub one/fr has 20"),
        ("kind", "bad_media: |no_video: "),
        ("none", "there is no video"),
        ("good", None),
    ],
)
def test_finished_videos_that_do_not_fit(asks, tmp_path, kind, said):
    ours = tmp_path / "ours"
    ours.mkdir()
    size, n = ((24, 32) if kind == "size" else (48, 64)), (15 if kind == "length" else 20)
    frames = np.random.default_rng(0).integers(0, 255, (n, *size, 3), np.uint8)
    if kind == "kind":
        (ours / "one_fr.mp4").write_text("<html>not found</html>")
    elif kind != "none":
        media.write_video(ours / "one_fr.mp4", frames, fps=25, synthetic=False)
    methods = f"[{{id: precomputed, label: ours, params: {{folder: {ours}, pattern: '{{clip}}_{{language}}.mp4'}}}}]"
    found = plan(asks(f"ours-{kind}", methods, "[psnr_full]", "clips: [one]\n"), tmp_path / "run")
    if said is None:
        assert found["obstacles"] == []
    elif kind == "none":  # known to the plan itself: the stage is refused
        assert found["refused"]
        assert said in found["refused"][0]
    else:
        (one,) = found["obstacles"]
        assert one["what"] == "show ours of one/fr"
        assert re.search(said, one["why"])


def test_a_run_without_a_number_of_a_metric_ends_with_3(asks, tmp_path):
    path = asks("nothing", "[dubbed]", "[psnr_full, lse_d]", "clips: [one]\n")
    result = call(run, path, "--out", tmp_path / "run", "--workers", 1, "--json")
    assert isinstance(result.exception, RunIncomplete)
    assert result.exception.what == "the run has no number at all of lse_d"
    assert result.exception.why.startswith("lse_d: weights_missing: ")
    assert "--allow-missing" in result.exception.fix
    answer = json.loads(result.stdout)
    assert answer["complete"] is False
    assert set(answer["unmeasured"]) == {"lse_d"}
    assert [one["weights"] for one in answer["obstacles"]] == [["syncnet_v2"], []]
    # Those who mean it say so, on the command line or in the run file.
    meant = call(run, path, "--out", tmp_path / "run", "--json", "--allow-missing")
    assert meant.exit_code == 0, meant.output
    assert json.loads(meant.stdout)["complete"] is True
    path.write_text(path.read_text() + 'allow_missing: ["lse_*"]\n')
    assert call(run, path, "--out", tmp_path / "run", "--json").exit_code == 0


def test_metrics_that_only_some_clips_can_have_are_asked_for_by_name(tiny, tmp_path):
    request = {"manifest": str(tiny / "tiny.yaml"), "methods": ["dubbed"], "clips": ["one"], "metrics": ["image"]}
    done = api.run(request, out=tmp_path / "run", workers=1)
    assert done.complete  # psnr_full_truth: the clip has no truth
    named = api.run({**request, "metrics": ["psnr_full_truth"]}, out=tmp_path / "run", workers=1)
    assert set(named.unmeasured) == {"psnr_full_truth"}


def test_weights_get_for_a_run_file(asks, monkeypatch):
    fetched: list[str] = []
    monkeypatch.setattr(registry, "get", lambda name, **_: fetched.append(name) or Path(name))
    path = asks("get", "[dubbed, wav2lip]", "[lse_d, lpips_full]")
    result = call(weights, "get", "--for", path)
    assert sorted(fetched) == ["alexnet", "syncnet_v2"]
    assert isinstance(result.exception, WeightsMissing)  # and it says what no program can fetch
    assert result.exception.what == "no program can fetch wav2lip"
    fetched.clear()
    assert call(weights, "get", "--for", asks("got", "[dubbed]", "[psnr_full]")).exit_code == 0
    assert fetched == []
    assert "which weights?" in str(call(weights, "get").exception)


def test_list_metrics_is_true_of_the_default_sync_model():
    rows = {row["id"]: row["runs here"] for row in json.loads(call(list_command, "metrics", "--json").stdout)}
    assert rows["lse_d"] == "needs weights: syncnet_v2, mediapipe-face"
    assert rows["psnr_full"] == "yes"
    assert rows["psnr_mouth"] == "needs weights: mediapipe-face"
    assert rows["lpips_full"] == "needs weights: alexnet"
    assert rows["csim_dlib"] == "needs weights: dlib-resnet, mediapipe-face"
    assert rows["au_error_upper"] == "needs the option action-units.folder"


def test_list_keeps_what_fits_and_says_how_to_get_what_is_missing(monkeypatch):
    monkeypatch.setattr(identity, "missing", lambda: None)
    found = call(list_command, "metrics", "csim*", "niqe").stdout
    ids = [line.split()[0] for line in found.split("\nhow to get")[0].splitlines()[1:] if line.strip()]
    assert ids == ["niqe_full", "niqe_face", "csim_dlib", "csim_dlib_truth", "csim_arcface", "csim_arcface_truth"]
    how = found.split("how to get what is missing:\n")[1]
    assert how.count("identity-dlib: run `lipbench weights get dlib-resnet`") == 1  # once, not for every metric
    assert "identity-arcface: set the option identity-arcface.model" in how
    assert json.loads(call(list_command, "metrics", "nothing*", "--json").stdout) == []


def test_the_readme_gets_what_its_first_question_needs():
    text = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    first = text[text.index("    lipbench weights get") : text.index("    # A manifest")]
    fetched = first.splitlines()[0].partition("#")[0].split()[3:]
    from lipbench.engine.config import parse_run_file
    from lipbench.engine.preflight import lacking, of_metrics
    from lipbench.engine.rows import families
    from lipbench.engine.score import EVERYTHING

    config = parse_run_file({"manifest": "-", "methods": ["dubbed"], "metrics": list(EVERYTHING)}, "score")
    measured = families(config)
    asked = [m.id for family, _ in measured for m in family.metrics]
    # Nobody may redistribute syncnet_v2: the packaged sync model answers without it.
    assert "landmark-sync" in {family.id for family, _ in measured}
    assert set(lacking(of_metrics(measured, asked, config.faces))) == {*fetched, "syncnet_v2"}
