"""Side-by-side videos: what stands where, how long, with which sound, and what is said where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

from lipbench import media
from lipbench.cli import group
from lipbench.core.errors import NothingComparable, UnknownName
from lipbench.reports.details import Details
from lipbench.reports.side_by_side import BAR, GAP, write


@pytest.fixture(scope="module")
def details(stored_run):
    return Details(stored_run)


def test_pictures_stand_in_step_under_their_names(details, tmp_path):
    (made,) = write(details, tmp_path, clips=["ann"], languages=["fr"], methods=["source", "bad", "good"], height=64)
    assert made.path == tmp_path / "ann_fr.mp4"
    assert made.titles == ("Source", "Bad <one>", "Good one")
    info = media.probe(made.path)
    assert (info.width, info.height, info.n_frames) == (3 * 64 + 4 * GAP, 2 * BAR + 64 + GAP, 20)
    assert info.audio is not None
    assert media.is_synthetic(made.path)
    frames = media.load_frames(made.path).astype(int)
    for k in (0, 10, 19):
        for column, blue in ((0, 200), (1, 90), (2, 200)):
            x, y = GAP + column * (64 + GAP), 2 * BAR
            assert abs(frames[k, y + 8, x + 60].mean() - (40 + 5 * k)) < 6  # the frame's gray
            assert abs(frames[k, y + 30, x + 2 * k + 10, 2] - blue) < 25  # the square, where it is at that moment
    # Names are written in the bar above each picture.
    for column in range(3):
        x = GAP + column * (64 + GAP)
        assert frames[0, BAR : 2 * BAR, x : x + 64].max() > 120


def test_every_dub_gets_one_and_what_is_missing_is_told(details, tmp_path):
    made = write(details, tmp_path, height=64, columns=2)
    assert sorted(one.path.name for one in made) == ["ann_de.mp4", "ann_fr.mp4", "bob_de.mp4", "bob_fr.mp4"]
    lacking = {one.path.stem: one.missing for one in made if one.missing}
    assert lacking == {"bob_de": (("Bad <one>", "killed at 3.1 GB"),)}
    info = media.probe(tmp_path / "ann_fr.mp4")
    assert (info.width, info.height) == (2 * 64 + 3 * GAP, BAR + 2 * (64 + BAR + GAP))  # source, good / bad, still


def test_what_is_not_there_is_refused(details, runs, tmp_path):
    with pytest.raises(UnknownName, match="god"):
        write(details, tmp_path, methods=["god"])
    with pytest.raises(UnknownName, match="it"):
        write(details, tmp_path, languages=["it"])
    with pytest.raises(NothingComparable, match="nothing to show"):
        write(details, tmp_path, clips=["x*"])
    with pytest.raises(NothingComparable, match="nothing to show"):
        write(Details(runs.example()), tmp_path)


def test_command(stored_run, tmp_path):
    given = ["video", str(stored_run), "--clip", "ann", "--lang", "fr", "--height", "64", "-o", str(tmp_path), "--json"]
    found = CliRunner().invoke(group, given)
    assert found.exit_code == 0, found.output
    (answer,) = json.loads(found.output)
    assert answer == {
        "video": str(tmp_path / "ann_fr.mp4"),
        "titles": ["Source", "Good one", "Bad <one>", "Still"],
        "missing": {},
    }


@pytest.mark.parametrize("label", ["x" * 200, r"$\frac{x}$", "ü ʁ ɛ̃", "<b>"])
def test_any_name_can_be_written(details, tmp_path, label, monkeypatch):
    monkeypatch.setitem(details.run.methods["good"], "title", label)
    (made,) = write(details, tmp_path, clips=["ann"], languages=["fr"], methods=["good"], height=64)
    picture = media.load_frames(made.path)[0]
    assert np.ptp(picture[BAR : 2 * BAR]) > 100
