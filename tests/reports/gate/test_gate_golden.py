"""The golden pairs: stored numbers hold, and changed metric code is told from a changed method."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

from lipbench.cli.gate import main
from lipbench.core.errors import NothingComparable, Regression, UsageError
from lipbench.core.metric import MetricSpec, Score
from lipbench.metrics.image import ImageFamily
from lipbench.metrics.landmarks import LandmarkFamily
from lipbench.reports.golden import check, pairs

LIGHT = {"image": ImageFamily(), "landmarks": LandmarkFamily()}


class Ruler:
    """A metric whose length can be set."""

    id = "ruler"

    def __init__(self, value=1.0, version="1", weights="a", reason=None):
        self.metrics = (MetricSpec("length", version, "Length", "", "lower", frozenset(), tolerance=0.01),)
        self.value, self.weights, self.reason = value, weights, reason

    def identity(self, options):
        return {"weights": self.weights}

    def score(self, pair):
        assert pair.prediction.exists()
        return {"length": Score(self.value, self.reason)}


@pytest.fixture(autouse=True)
def _no_films(monkeypatch, request):
    """Rulers need no videos."""
    if not request.function.__name__.endswith("_in_films"):

        def make(folder, name):
            (folder / "p.mp4").touch()
            return pairs.Pair(folder / "p.mp4", None, None, None, None, "", None, None, 25.0, folder)

        monkeypatch.setattr(check.pairs, "make", make)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "values.json"
    stored = check.accept_golden("first", {"ruler": Ruler()}, path)
    assert stored.names == tuple(f"{name}/length" for name in pairs.NAMES)
    return path


def verdicts(result):
    return {e.verdict for e in result.entries}


def test_same(path):
    result = check.check({"ruler": Ruler(1.009)}, path)
    assert verdicts(result) == {"same"}
    assert (result.exit_code, result.error(), result.changed) == (0, None, {})


@pytest.mark.parametrize("now", [1.02, None, float("inf")])
def test_changed_without_a_version(path, now):
    result = check.check({"ruler": Ruler(now, reason="broken" if now is None else None)}, path)
    assert verdicts(result) == {"changed"}
    assert isinstance(result.error(), Regression)
    assert "drawn/length (3 in all)" in str(result.error())
    assert set(result.changed) == {"length"}
    before = path.read_text()
    with pytest.raises(Regression, match="still version 1"):
        check.accept_golden("hide it", {"ruler": Ruler(now, reason="x" if now is None else None)}, path)
    assert path.read_text() == before


@pytest.mark.parametrize("declared", [{"version": "2"}, {"weights": "b"}])
def test_changed_with_a_declaration(path, declared):
    ruler = {"ruler": Ruler(5.0, **declared)}
    result = check.check(ruler, path)
    assert verdicts(result) == {"new"}
    assert result.exit_code == 4
    assert isinstance(result.error(), NothingComparable)
    assert len(check.accept_golden("longer on purpose", ruler, path).names) == 3
    assert check.check(ruler, path).exit_code == 0
    assert check.check({"ruler": Ruler()}, path).exit_code == 4


def test_absent_weights_do_not_close_the_gate(path):
    away = Ruler(None, reason="weights_missing: not here")
    other = Ruler()
    other.metrics = (replace(other.metrics[0], id="other"),)
    other.score = lambda pair: {"other": Score(2.0)}
    result = check.check({"ruler": away, "other": other}, path)
    assert verdicts(result) == {"absent", "unknown"}
    assert result.exit_code == 4  # nothing was measured that could be compared
    assert "- absent: length: weights_missing: not here" in result.text()
    check.accept_golden("second", {"ruler": away, "other": other}, path)
    assert check.check({"ruler": away, "other": other}, path).exit_code == 0


def test_infinite_values(tmp_path):
    path = tmp_path / "v.json"
    ruler = {"ruler": Ruler(float("inf"))}
    check.accept_golden("equal videos", ruler, path)
    assert '"value": "inf"' in path.read_text()
    assert check.check(ruler, path).exit_code == 0


def test_files(tmp_path, path):
    with pytest.raises(UsageError, match="need a reason"):
        check.accept_golden(" ", {"ruler": Ruler()}, path)
    path.write_text("{")
    with pytest.raises(UsageError, match="cannot read the golden values"):
        check.check({"ruler": Ruler()}, path)
    path.write_text('{"schema": 9, "values": {}}')
    with pytest.raises(UsageError, match="schema 9"):
        check.check({"ruler": Ruler()}, path)


def test_shipped_values_hold_in_films():
    """The real thing, for two families; `lipbench gate --golden` takes all."""
    result = check.check(LIGHT)
    assert verdicts(result) == {"same"}
    assert len(result.entries) == 48


def test_a_changed_formula_is_found_in_films(monkeypatch):
    monkeypatch.setattr("lipbench.metrics.image.frame_psnr", lambda a, b: 30.0)
    changed = check.check({"image": LIGHT["image"]}).changed
    assert "psnr_full" in changed
    assert not any(name.startswith("ssim") for name in changed)


def test_pairs_are_what_they_claim_in_films(tmp_path):
    import numpy as np

    from lipbench import media
    from lipbench.faces.track import FaceTrack

    pair = pairs.make(tmp_path, "gaps")
    frames = media.load_frames(pair.prediction)
    assert frames.shape == (pairs.FRAMES, pairs.SIDE, pairs.SIDE, 3)
    assert FaceTrack.load(pair.faces).lost_frames == [11, 12, 25]
    assert len(media.read_wav(pair.audio)[0]) == 10 * 640
    assert len(np.unique(pairs.noise(1000, 1))) > 900
    assert pairs.noise(4, 1).tolist() == pairs.noise(6, 1)[:4].tolist()


@pytest.mark.parametrize(("value", "code", "error"), [(1.0, 0, type(None)), (9.0, 1, Regression)])
def test_command(monkeypatch, path, tmp_path, value, code, error):
    found = check.measure({"ruler": Ruler(value)})
    monkeypatch.setattr(check, "measure", lambda families: found)
    monkeypatch.setattr(check.check, "__defaults__", (None, path))
    result = CliRunner().invoke(main, ["--golden", "--json", "--junit", str(tmp_path / "g.xml")])
    assert isinstance(result.exception, error)
    assert json.loads(result.output)["golden"]["exit_code"] == code
    assert (tmp_path / "g.xml").read_text().count("<failure") == 3 * code
