"""The metric that CONTRIBUTING.md prints: installed, run and type-checked as printed."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lipbench import media
from lipbench.core import registry
from lipbench.core.contract import family_faults

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A metric")[2].partition("\n## ")[0]
CODE = re.search(r"^```py\n(# mouth_sharpness\.py\n.*?)^```$", PAGE, re.M | re.S)[1]
ENTRY_POINT = re.search(r'entry-points\."([\w.]+)"\]\n\s+(\S+) = "(\S+)"', PAGE).groups()
OPTION = re.search(r"--option (\S+)=(\d+)`", PAGE).groups()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """The example as a package that was installed."""
    site = tmp_path / "site"
    info = site / "mouth_sharpness-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "mouth_sharpness.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mouth-sharpness\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[{}]\n{} = {}\n".format(*ENTRY_POINT))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", str(ROOT))]))
    monkeypatch.syspath_prepend(site)
    registry.refresh()
    yield site
    monkeypatch.undo()
    sys.modules.pop("mouth_sharpness", None)
    registry.refresh()


def test_the_example_is_short():
    assert len([line for line in CODE.splitlines() if line.strip()]) <= 25


def test_the_example_keeps_the_contract(site):
    family = registry.load("metrics", ENTRY_POINT[1])
    assert list(family_faults(family, ENTRY_POINT[1])) == []
    assert [spec.id for spec in family.metrics] == ["sharpness_mouth", "sharpness_mouth_truth"]
    assert all(spec.description.endswith(".") for spec in family.metrics)


def test_the_example_measures_what_it_says_with_its_option(site, tmp_path, in_process):
    from lipbench.cli.doctor_method import tiny
    from lipbench.engine import api

    manifest = tiny(tmp_path / "clip", 8)
    config = {"name": "example", "manifest": "tiny", "methods": ["dubbed", "truth"]}

    def measured(entry):
        prepared = api.prepare({**config, "metrics": [entry]}, out=tmp_path / "run", manifest=manifest)
        cells = api.execute(prepared, workers=1, quiet=True).cells
        return {cell["method"]: cell["metrics"]["sharpness_mouth"] for cell in cells}

    plain, wide = measured("mouth-sharpness"), measured({"id": "mouth-sharpness", "params": {"kernel": 5}})
    assert plain["dubbed"]["value"] == wide["dubbed"]["value"] == 1
    assert plain["dubbed"]["n_valid"] == 8
    assert plain["truth"]["value"] != wide["truth"]["value"]
    mistaken = {"id": "mouth-sharpness", "params": {"kernel": 99}}
    with pytest.raises(Exception, match="'kernel'"):
        measured(mistaken)


def test_the_printed_command_line_scores_a_video(site, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from lipbench.cli.score import main

    frames = np.random.default_rng(0).integers(0, 256, (6, 96, 96, 3), dtype=np.uint8)
    media.write_video(tmp_path / "a.mp4", frames, fps=25, lossless=True)
    command = [str(tmp_path / "a.mp4"), "--metric", ENTRY_POINT[1], "--option", "=".join(OPTION), "--json"]
    command += ["--faces", "demo-face"]  # whose weights are in the package
    scores = json.loads(CliRunner().invoke(main, command).stdout)["metrics"]
    assert set(scores) == {"sharpness_mouth", "sharpness_mouth_truth"}
    assert all(score["value"] is None and score["reason"] for score in scores.values())


def test_the_number_is_the_ratio_of_variances(site):
    from lipbench.metrics.frame_metric import Box

    a, b = (np.random.default_rng(seed).integers(0, 256, (40, 50, 3), dtype=np.uint8) for seed in (0, 1))
    family, box = registry.load("metrics", ENTRY_POINT[1]), Box(5, 10, 25, 40)
    cuts = [cv2.Laplacian(f[10:40, 5:25], cv2.CV_64F, ksize=5) for f in (a, b)]
    assert family.frame(a, b, box, kernel=5) == pytest.approx(cuts[0].var() / cuts[1].var())
    assert family.frame(a, np.zeros_like(b), box, kernel=5) is None


@pytest.mark.slow
def test_a_type_checker_finds_nothing_wrong_with_the_example(tmp_path):
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed; the session `types` runs this")
    (tmp_path / "mouth_sharpness.py").write_text(CODE)
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), "mouth_sharpness.py"]
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
