"""AU error of OpenFace's files: found by the video's hash, against pandas, and every reason."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lipbench.core import registry
from lipbench.core.keys import sha256_file
from lipbench.metrics.functional.action_units import LOWER, PARTS, UPPER

N = 8


def write(path, seed, n=N, leave_out=""):
    """A file as OpenFace 2.2 writes it: spaces behind commas, presence beside intensity."""
    draw = np.random.default_rng(seed)
    columns = {"frame": np.arange(1, n + 1), " confidence": 0.98, " success": 1}
    for unit in sorted(PARTS["all"]):
        if unit != leave_out:
            columns[f" {unit}_r"] = draw.uniform(0, 5, n).round(2)
            columns[f" {unit}_c"] = draw.integers(0, 2, n)
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


@pytest.fixture
def pair(scene):
    videos = {name: scene.video(name, scene.frames + k) for k, name in enumerate(("prediction", "reference", "truth"))}
    return scene.pair(**videos)


@pytest.fixture
def folder(pair, tmp_path):
    made = tmp_path / "openface"
    made.mkdir()
    for seed, video in enumerate((pair.prediction, pair.reference, pair.truth)):
        write(made / f"{sha256_file(video)[:12]}.csv", seed)
    return made


def frames(folder, video):
    return pd.read_csv(folder / f"{sha256_file(video)[:12]}.csv", skipinitialspace=True)


def test_it_is_the_sum_of_the_units_mean_squares(pair, folder):
    family = registry.load("metrics", "action-units")
    assert family.on_request
    scores = family.score(replace(pair, options={"folder": str(folder)}))
    mine = frames(folder, pair.prediction)
    for against, suffix in (("reference", ""), ("truth", "_truth")):
        theirs = frames(folder, getattr(pair, against))
        for part, units in (("lower", LOWER), ("upper", UPPER)):
            want = sum(((mine[f"{u}_r"] - theirs[f"{u}_r"]) ** 2).mean() for u in units)
            score = scores[f"au_error_{part}{suffix}"]
            assert score.value == pytest.approx(want, rel=1e-12)
            assert sum(score.extra["units"].values()) == pytest.approx(want)
            assert (score.n_valid, score.n_total) == (N, N)


def test_a_file_can_be_named_itself_and_its_content_is_the_key(pair, tmp_path):
    family = registry.load("metrics", "action-units")
    options = {name: str(write(tmp_path / f"{name}.csv", 3)) for name in ("prediction", "reference")}
    scores = family.score(replace(pair, options=options))
    assert scores["au_error_lower"].value == 0
    assert scores["au_error_lower_truth"].reason.startswith("not_asked: ")
    before = family.identity(options)
    write(tmp_path / "reference.csv", 4)
    assert family.identity(options) != before
    assert str(tmp_path) not in str(before)


def test_what_is_missing_is_said(pair, folder, tmp_path):
    family = registry.load("metrics", "action-units")
    nothing = family.score(pair)
    assert all("action-units.folder" in score.reason for score in nothing.values())
    assert set(family.obstacles({})) == {"the option action-units.folder"}
    assert family.obstacles({"folder": str(folder)}) == {}
    empty = family.score(replace(pair, options={"folder": str(tmp_path)}))["au_error_upper"].reason
    assert empty.startswith("no_file: ")
    assert f"{sha256_file(pair.reference)[:12]}.csv" in empty
    named = {"prediction": str(write(tmp_path / "p.csv", 0)), "folder": str(folder)}
    for file, why in (
        (write(tmp_path / "long.csv", 1, n=N + 2), "length_mismatch: the files tell of 8 and 10 frames"),
        (write(tmp_path / "less.csv", 1, leave_out="AU25"), "no_action_units: there are no intensities of AU25"),
    ):
        scores = family.score(replace(pair, options={**named, "reference": str(file)}))
        assert scores["au_error_lower"].reason.startswith(why)
    assert family.score(replace(pair, reference=None, options=named))["au_error_lower"].reason.startswith("no_ref")
