"""Curves: their points against numbers worked out by hand, and the drawings they become."""

from __future__ import annotations

import csv
import io
import json
import shutil
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from lipbench.cli import group
from lipbench.core.errors import LipbenchError, NothingComparable, UnknownName, UsageError
from lipbench.reports import curve_writers, curves, plots
from lipbench.reports.details import Details
from lipbench.reports.frame import load_run


@pytest.fixture(scope="module")
def lengths(stored_lengths):
    return Details(stored_lengths)


@pytest.fixture(scope="module")
def plain(stored_run):
    return Details(stored_run)


def line(curve, method, group=""):
    (found,) = [x for x in curve.lines if (x.method, x.group) == (method, group)]
    return found


def test_length_is_a_mean_over_clips_with_its_t_interval(lengths):
    """LSE-D of the fixture: 7 + 6 / seconds + .05 (mean of languages) + 0 (ann) or .5 (bob)."""
    curve = curves.lengths(lengths.run, "lse_d")
    points = line(curve, "good").points
    assert [p.x for p in points] == [3.0, 5.0, None]
    assert [p.y for p in points] == pytest.approx([9.3, 8.5, 7.3])
    # Two clips .5 apart: half width = t(.975, 1) * sd / sqrt 2 = 12.7062 * .25
    assert points[0].high - points[0].y == pytest.approx(3.17655, abs=1e-4)
    assert points[0].n == 2
    assert curve.better == "lower"


def test_incomplete_points_are_left_out_and_named(lengths):
    curve = curves.lengths(lengths.run, "lse_d")
    assert "bad" not in [x.method for x in curve.lines]
    assert "bad at 5 s: 1 of 2 clips have no number" in curve.notes
    assert "bad at the whole clip: 1 of 2 clips have no number" in curve.notes


def test_lengths_by_language(lengths):
    curve = curves.lengths(lengths.run, "lse_d", by_language=True)
    assert [p.y for p in line(curve, "good", "fr").points] == pytest.approx([9.25, 8.45, 7.25])
    assert [p.y for p in line(curve, "bad", "fr").points] == pytest.approx([9.25, 8.45, 7.25])
    assert "bad" not in [x.method for x in curve.lines if x.group == "de"]


def test_magnitudes_where_zero_is_best(lengths):
    assert [p.y for p in line(curves.lengths(lengths.run, "av_offset"), "still").points] == [2.0] * 3


def test_length_needs_two_lengths(plain):
    with pytest.raises(NothingComparable, match="one training length"):
        curves.lengths(plain.run, "lse_d")


def test_a_metric_without_numbers_says_why(lengths):
    with pytest.raises(NothingComparable) as error:
        curves.lengths(lengths.run, "psnr_mouth_truth")
    assert error.value.why == "no truth"
    with pytest.raises(UnknownName):
        curves.lengths(lengths.run, "lse_dd")
    with pytest.raises(UsageError):
        curves.build(lengths, "width")


def test_cost_sums_the_stages(lengths):
    """good: fit 10 s per training second (80 s for the whole clip) and 4 s of synthesis; bad is incomplete."""
    curve = curves.costs(lengths, "lse_d")
    points = line(curve, "good").points
    assert sorted((p.label, p.x) for p in points) == [("", 84.0), ("3 s", 34.0), ("5 s", 54.0)]
    assert [p.x for p in line(curve, "still").points] == [1.0] * 3
    # Controls are no way to work: they are not on the line.
    assert curve.pareto == ((34.0, pytest.approx(9.3)), (54.0, pytest.approx(8.5)), (84.0, pytest.approx(7.3)))


@pytest.mark.parametrize(
    ("better", "expected"),
    [("lower", ((1.0, 5.0), (2.0, 3.0), (4.0, 1.0))), ("higher", ((1.0, 5.0), (3.0, 6.0))), ("none", ())],
)
def test_pareto(better, expected):
    points = [(1.0, 5.0), (2.0, 3.0), (3.0, 6.0), (4.0, 1.0), (5.0, 2.0)]
    lines = [
        curves.CurveLine(f"m{i}", "", "method", (curves.Point(x, y, None, None, 1),)) for i, (x, y) in enumerate(points)
    ]
    lines.append(curves.CurveLine("c", "", "control", (curves.Point(0.5, 0.1, None, None, 1),)))
    assert curves._pareto(lines, better) == expected


def test_valley_lies_at_the_offset_of_each_method(plain):
    curve = curves.shifts(plain)
    for method, offset in {"good": 0, "bad": 6, "still": -2}.items():
        points = line(curve, method).points
        assert [p.x for p in points] == list(range(-15, 16))
        assert min(points, key=lambda p: p.y).x == offset
    # ann 7.05, bob 7.55 at the lowest point
    assert min(p.y for p in line(curve, "good").points) == pytest.approx(7.3)
    assert [p.n for p in line(curve, "good").points] == [2] * 31


def test_shift_without_a_sync_model(runs):
    with pytest.raises(NothingComparable) as error:
        curves.shifts(Details(runs.example()))
    assert "weights_missing" in error.value.why


def test_texts_hold_the_points(lengths):
    curve = curves.lengths(lengths.run, "lse_d")
    rows = list(csv.DictReader(io.StringIO(curve_writers.csv_text(curve))))
    assert len(rows) == 6
    assert (rows[2]["x"], float(rows[2]["y"])) == ("", pytest.approx(7.3))
    data = json.loads(curve_writers.json_text(curve))
    assert data["points"][0] | {"y": 0, "low": 0, "high": 0} == {
        "method": "good",
        "kind": "method",
        "group": "",
        "x": 3.0,
        "y": 0,
        "low": 0,
        "high": 0,
        "n": 2,
        "label": "",
    }
    assert "whole" in curve_writers.text(curve)


def test_infinite_means_are_told_and_not_drawn(runs):
    cells = [runs.cell("a", c, "fr", {"psnr_full": "inf"}, seconds=s) for c in "kl" for s in (3.0, None)]
    curve = curves.lengths(load_run(runs.write(cells, [runs.method("a")])), "psnr_full")
    assert json.loads(curve_writers.json_text(curve))["points"][0]["y"] == "inf"
    assert "inf" in curve_writers.text(curve)
    plots.draw(curve)


# ---- drawings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["length", "cost", "shift"])
def test_drawing_has_text_a_label_and_the_pages_color(lengths, kind):
    curve = curves.build(lengths, kind)
    drawn = plots.svg(plots.draw(curve), "c 1", "what <it> shows")
    root = ET.fromstring(drawn)
    assert root.get("aria-label") == "what <it> shows"
    assert "currentColor" in drawn
    assert "#010203" not in drawn
    texts = {e.text for e in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {curve.x_title, "Good one", "Still"} <= texts
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert all(name.startswith("c-1-") for name in ids)
    assert len(set(ids)) == len(ids)
    assert len(drawn) < 60_000


def test_small_multiples_per_language(lengths):
    fig = plots.draw(curves.lengths(lengths.run, "lse_d", by_language=True))
    assert [axes.get_title() for axes in fig.axes] == ["de", "fr"]
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == ["3", "5", "whole"]


def test_command_draws_and_prints(stored_lengths, tmp_path):
    def call(*args):
        return CliRunner().invoke(group, ["curve", str(stored_lengths), *args])

    assert "n=2" in call().output
    assert len(json.loads(call("--kind", "shift", "--json").output)["points"]) == 93
    for name, start in {"a.pdf": b"%PDF", "a.png": b"\x89PNG", "a.svg": b"<svg", "a.csv": b"method"}.items():
        found = call("-o", str(tmp_path / name))
        assert found.exit_code == 0, found.output
        assert (tmp_path / name).read_bytes().startswith(start)
    assert b"currentColor" not in (tmp_path / "a.svg").read_bytes()
    with pytest.raises(LipbenchError, match="cannot write"):
        CliRunner().invoke(group, ["curve", str(stored_lengths), "-o", "a.xls"], catch_exceptions=False)
    with pytest.raises(LipbenchError, match="by-lang"):
        CliRunner().invoke(group, ["curve", str(stored_lengths), "--kind", "cost", "--by-lang"], catch_exceptions=False)


def test_finished_videos_have_no_cost(stored_lengths, tmp_path):
    """What a run spends on a video from elsewhere is the time of a copy."""
    root = tmp_path / "run"
    shutil.copytree(stored_lengths, root)
    assert {line.method for line in curves.build(Details(root), "cost", "lse_d").lines} == {"good", "still"}
    about = json.loads((root / "run.json").read_text())
    next(m for m in about["methods"] if m["id"] == "good")["made_elsewhere"] = True
    (root / "run.json").write_text(json.dumps(about))
    assert {line.method for line in curves.build(Details(root), "cost", "lse_d").lines} == {"still"}
