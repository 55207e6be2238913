"""Names that people chose may be long, hold dollar signs or look like formulas: pages, drawings and tables go on."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from lipbench.reports import plots, trend, trend_charts
from lipbench.reports.curves import Curve, CurveLine, Point
from lipbench.reports.figures.draw import draw
from lipbench.reports.figures.moments import Moment
from lipbench.reports.figures.types import Sheet, SheetRow
from lipbench.reports.html import charts, write
from lipbench.reports.tables import table_text
from lipbench.reports.writers import plain_text

NAMES = ["x" * 80, r"$\frac{x}$", "a $ b", "$$", r"\$1$2", "two\nlines", "ü" * 500, "=1+1", "<script>"]


def run_with(runs, label: str, name: str = "real") -> Path:
    methods = [runs.method("m") | {"label": label}, runs.method("other")]
    cells = [
        runs.cell(of, clip, "fr", {"psnr_full": value, "lse_d": value})
        for clip in ("a", "b", "c")
        for of, value in ((label, 30.0 + len(clip)), ("other", 31.0))
    ]
    return runs.write([{**c, "method_id": "m"} if c["method"] == label else c for c in cells], methods, name=name)


@pytest.mark.parametrize("label", NAMES)
def test_a_report_is_written_whatever_a_label_is(label, runs):
    root = run_with(runs, label)
    made = write(root)
    assert not any("could not be drawn" in line for line in made.remarks)
    assert made.page.read_text().count("<svg") >= 2
    trend_charts.draw(trend.collect([root]), ["psnr_full"], root / "trend")


@pytest.mark.parametrize("label", NAMES)
def test_drawings_show_any_name(label, tmp_path):
    lines = [CurveLine(label, label, "method", tuple(Point(x, 1.0, None, None, 3, label) for x in (1.0, 2.0)), label)]
    for kind in ("length", "cost"):
        curve = Curve(kind, label, label, label, "lower", tuple(lines))
        plots.save(plots.draw(curve), tmp_path / "c.svg")
    plots.save(plots.strip(label, {label: {"a": 1.0}, "other": {"a": 2.0}}, {label: 0, "other": 1}), tmp_path / "s.svg")
    picture = np.zeros((8, 8, 3), np.uint8)
    sheet = Sheet(label, (Moment(0, label),), (SheetRow(label, (picture,)),), (label,))
    plots.save(draw(sheet), tmp_path / "f.svg")


def test_names_are_shortened_in_the_middle_and_dollars_stay(tmp_path):
    assert plots.words("short") == "short"
    assert plots.words("a" * 20 + "b" * 20) == "a" * 19 + "…" + "b" * 12
    assert len(plots.words("x" * 80)) == plots.ROOM
    assert plots.words("one\n two") == "one two"
    shown = plots.svg(plots.strip(r"$\frac{x}$ [dB]", {"a $5 b": {"a": 1.0}}, {"a $5 b": 0}), "s")
    assert r"$\frac{x}$ [dB]" in shown
    assert "a $5 b" in shown


def test_a_chart_that_fails_does_not_take_the_page(runs, monkeypatch):
    draw, calls = charts.plots.strip, []

    def broken_once(*given):
        calls.append(given)
        return draw(*given) if len(calls) > 1 else 1 / 0

    monkeypatch.setattr(charts.plots, "strip", broken_once)
    made = write(run_with(runs, "plain"))
    assert "could not be drawn (ZeroDivisionError: division by zero)" in " ".join(made.remarks)
    assert "could not be drawn (ZeroDivisionError: division by zero)" in made.page.read_text()
    assert made.page.read_text().count("<svg") >= 1


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", '=HYPERLINK("x")'])
def test_no_csv_cell_is_a_formula(label, runs):
    text = table_text(run_with(runs, label), format="csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["method"] for row in rows} == {f"'{label}", "other"}
    assert not any(cell.startswith(("=", "+", "@")) for row in csv.reader(io.StringIO(text)) for cell in row)


def test_numbers_stay_numbers_in_csv():
    assert [plain_text(cell) for cell in (-1.5, 3, None, "a=1", "")] == [-1.5, 3, None, "a=1", ""]
