"""lipbench score."""

from __future__ import annotations

import json
import re

import pytest
from click.testing import CliRunner

from lipbench.cli.score import main
from lipbench.core.errors import MediaError, UnknownName

METRICS = ["--metric", "psnr_full", "--metric", "ssim_full", "--metric", "lse_d"]


def call(*args):
    return CliRunner().invoke(main, [str(a) for a in args])


def test_json(tiny):
    result = call(tiny / "one.mp4", "--reference", tiny / "one.mp4", "--audio", tiny / "fr.wav", "--json", *METRICS)
    assert result.exit_code == 0, result.output
    answer = json.loads(result.stdout)
    assert (answer["video"], answer["sync_model"], answer["protocol"]) == (
        str(tiny / "one.mp4"),
        "syncnet_v2",
        "realvideo",
    )
    assert set(answer["metrics"]) == {"psnr_full", "ssim_full", "lse_d"}
    assert answer["metrics"]["psnr_full"]["value"] == "inf"
    assert answer["metrics"]["ssim_full"] == {
        "value": 1.0,
        "reason": None,
        "n_valid": 20,
        "n_total": 20,
        "version": "1",
        "extra": {},
    }
    assert answer["metrics"]["lse_d"]["reason"].startswith("weights_missing: ")
    assert answer["remarks"] == []


def test_text(tiny):
    result = call(tiny / "two.mp4", "--reference", tiny / "one.mp4", "--audio", tiny / "fr.wav", *METRICS)
    assert result.exit_code == 0, result.output
    lines = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert set(lines) == {"psnr_full", "ssim_full", "lse_d"}
    # 50 gray levels apart everywhere.
    assert float(lines["psnr_full"]) == pytest.approx(14.15, abs=0.3)
    assert lines["lse_d"] == "–  (weights_missing)"  # why was said before the work
    assert result.stderr.count("the weights 'syncnet_v2' are not on this machine") == 1
    assert "note: to get what is missing: `lipbench weights get syncnet_v2 mediapipe-face`" in result.stderr


def test_without_reference_and_audio(tiny):
    metrics = json.loads(call(tiny / "one.mp4", "--json", *METRICS).stdout)["metrics"]
    assert metrics["psnr_full"]["value"] is None
    assert metrics["psnr_full"]["reason"].startswith("no_reference: ")
    text = call(tiny / "one.mp4", "--metric", "image").stdout
    assert re.search(r"^psnr_full +–  \(no_reference: ", text, re.M)
    assert "no_truth" not in text  # no truth given: its metrics are no news


def test_mistakes(tiny, tmp_path):
    assert isinstance(call(tmp_path / "none.mp4").exception, MediaError)
    assert isinstance(call(tiny / "one.mp4", "--audio", tmp_path / "none.wav", *METRICS).exception, MediaError)
    assert isinstance(call(tiny / "one.mp4", "--metric", "psnr").exception, UnknownName)
    assert call(tiny / "one.mp4", "--protocol", "none").exit_code == 2


def test_sync_options_stand_where_people_look(tiny, monkeypatch):
    asked = {}
    monkeypatch.setattr(
        "lipbench.engine.score.score_video",
        lambda *_, **kw: asked.update(kw) or {"metrics": {}, "obstacles": [], "remarks": []},
    )
    flags = ["--min-track", 5, "--min-face-size", 30, "--boxes-from", "prediction", "--detector", "demo-face"]
    result = call(
        tiny / "one.mp4", *flags, "--aggregate", "mean", "--codec", "published", "--option", "sync.min_track=5"
    )
    assert result.exit_code == 0, result.output
    assert asked["options"]["sync"] == {
        "min_track": 5,
        "min_face_size": 30,
        "boxes_from": "prediction",
        "detector": "demo-face",
        "aggregate": "mean",
        "codec": "published",
    }
    twice = call(tiny / "one.mp4", "--min-track", 5, "--option", "sync.min_track=6")
    assert twice.exit_code == 2
    assert "given twice" in twice.output


@pytest.mark.parametrize("content", [b"", b"this is no video " * 50])
def test_unreadable_video_is_three_lines_and_code_2(program, tmp_path, content):
    video = tmp_path / "broken.mp4"
    video.write_bytes(content)
    result = program("score", video, "--json")
    assert (result.returncode, result.stdout) == (2, "")
    lines = result.stderr.splitlines()
    assert len(lines) == 3, result.stderr
    assert lines[0].startswith("error: ")
    assert "broken.mp4" in lines[0]
    assert all(line.startswith("       ") for line in lines[1:])
