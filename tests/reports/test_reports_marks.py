"""Marks by significance, own sound apart from dubs."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from lipbench.cli import group
from lipbench.reports.frame import load_run
from lipbench.reports.tables import build, table_text


def marks(runs, values, **options):
    """method -> rank of "m" (lower is better); values: method -> one number per clip."""
    metrics = [runs.metric("m", "M", "lower", decimals=2)]
    cells = [
        runs.cell(k, f"c{i}", "fr", {"m": v}, kind="control" if k == "truth" else "method")
        for k, own in values.items()
        for i, v in enumerate(own)
    ]
    methods = [runs.method(k, kind="control" if k == "truth" else "method") for k in values]
    (table,) = build(load_run(runs.write(cells, methods, metrics=metrics)), mark="significant", **options)
    return {row.method: row.entries["m"].rank for row in table.rows}, table


BASE = [7.0, 8.0, 6.5, 7.5, 9.0, 8.2, 7.1, 6.9]


def test_all_that_chance_explains_are_marked(runs):
    near = [v + d for v, d in zip(BASE, [0.3, -0.2, 0.1, -0.3, 0.2, -0.1, 0.3, -0.1], strict=True)]
    found, table = marks(runs, {"a": BASE, "b": near, "far": [v + 1 for v in BASE], "truth": [1.0] * 8})
    assert found == {"a": 1, "b": 1, "far": None, "truth": None}
    text = table_text(runs.folder / "real", mark="significant")
    assert "does not tell from it" in text
    assert "second" not in text
    assert not any("nothing can be significant" in line for line in table.remarks)


def test_few_clips_mark_everybody_and_say_so(runs):
    found, table = marks(runs, {"a": BASE[:5], "b": [v + 1 for v in BASE[:5]]})
    assert found == {"a": 1, "b": 1}
    assert any("with 5 clips nothing can be significant" in line for line in table.remarks)


def test_incomplete_methods_and_single_clips_are_never_marked(runs):
    found, _ = marks(runs, {"a": BASE, "b": [*BASE[:7], None], "c": BASE})
    assert found == {"a": 1, "b": None, "c": 1}


def test_the_only_complete_method_is_not_marked(runs):
    assert marks(runs, {"a": BASE, "b": [*BASE[:7], None]})[0] == {"a": None, "b": None}


def test_one_clip_tells_nothing(runs):
    found, _ = marks(runs, {"a": BASE, "b": BASE}, by=["clip"])
    assert set(found.values()) == {None}


def test_latex_names_the_mark(runs):
    marks(runs, {"a": BASE, "b": [v + 1 for v in BASE]})
    text = table_text(runs.folder / "real", format="tex", mark="significant")
    assert r"\lbfirst{marked}: the best, and all that" in text
    assert text.count(r"\lbfirst{") == 2  # and the one number
    assert r"\lbsecond{" not in text.split(r"\begin{table}")[1]


def test_own_sound_stands_apart(stored_run):
    """de is the fixture's original: LSE-D 7.35 there, 7.25 in the dub."""
    (table, *_) = build(load_run(stored_run), by=["sound"], metrics=["lse_d"])
    found = {(row.keys[0], row.method): row.entries["lse_d"].mean.mean for row in table.rows}
    assert found["original", "good"] == pytest.approx(7.35)
    assert found["dubbed", "good"] == pytest.approx(7.25)
    assert found["dubbed", "bad"] == pytest.approx(7.25)
    assert found["original", "bad"] is None


def test_command_knows_both(stored_run):
    args = ["table", str(stored_run), "--by", "sound", "--mark", "significant", "--format", "json"]
    found = CliRunner().invoke(group, args)
    assert found.exit_code == 0, found.output
    assert {row["sound"] for row in json.loads(found.output)["rows"]} == {"original", "dubbed"}
