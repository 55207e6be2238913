"""Whole tables against golden text, and the rules behind them."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lipbench.core.errors import NothingComparable, UnknownName, UsageError
from lipbench.reports.frame import load_run
from lipbench.reports.latex import escape
from lipbench.reports.table import shown
from lipbench.reports.tables import build, table_text

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("default.md", {}),
        ("by_lang.md", {"by": ["lang"], "metrics": ["psnr_full", "av_*"]}),
        ("paper.md", {"paper": True}),
        ("all.md", {"everything": True}),
        ("default.tex", {}),
        ("paper.tex", {"paper": True}),
        ("by_clip.csv", {"by": ["clip"]}),
        ("default.json", {}),
    ],
)
def test_golden(runs, name, options):
    text = table_text(runs.example(), format=name.split(".")[1], **options)
    assert text == (GOLDEN / name).read_text(encoding="utf-8")


# ---- ranks ----------------------------------------------------------------------------------------------------


def ranks(runs, values, better="higher", decimals=2, kinds=None):
    """method -> rank for one metric; values: method -> number or None."""
    metrics = [runs.metric("m", "M", better, decimals=decimals)]
    cells = [runs.cell(k, "c", "fr", {"m": v}, kind=(kinds or {}).get(k, "method")) for k, v in values.items()]
    methods = [runs.method(k, kind=(kinds or {}).get(k, "method")) for k in values]
    (table,) = build(load_run(runs.write(cells, methods, metrics=metrics)))
    return {row.method: row.entries["m"].rank for row in table.rows}


@pytest.mark.parametrize(
    ("better", "values", "expected"),
    [
        ("higher", [1.0, 4.0, 3.0, 2.0], [None, 1, 2, 3]),
        ("lower", [1.0, 4.0, 3.0, 2.0], [1, None, 3, 2]),
        ("zero", [-1.0, 4.0, -3.0, 0.5], [2, None, 3, 1]),
        ("none", [1.0, 4.0, 3.0, 2.0], [None] * 4),
        ("higher", [1.001, 1.004, 1.0, 0.5], [1, 1, 1, None]),  # a tie for the reader
        ("higher", [2.0, 2.0, 1.0, 0.5], [1, 1, 3, None]),
        ("higher", ["inf", 2.0, 1.0, None], [1, 2, 3, None]),
        ("higher", [1.0, None, None, None], [None] * 4),  # alone
    ],
)
def test_ranks(runs, better, values, expected):
    found = ranks(runs, dict(zip("abcd", values, strict=True)), better)
    assert [found[x] for x in "abcd"] == expected


def test_controls_take_no_rank(runs):
    found = ranks(runs, {"a": 1.0, "b": 2.0, "truth": 9.0}, kinds={"truth": "control"})
    assert found == {"a": 2, "b": 1, "truth": None}


def test_incomplete_methods_take_no_rank(runs):
    cells = [
        runs.cell("a", "k", "fr", {"psnr_full": 10.0}),
        runs.cell("a", "o", "fr", {"psnr_full": None}),
        runs.cell("b", "k", "fr", {"psnr_full": 2.0}),
        runs.cell("b", "o", "fr", {"psnr_full": 2.0}),
        runs.cell("c", "k", "fr", {"psnr_full": 1.0}),
        runs.cell("c", "o", "fr", {"psnr_full": 1.0}),
    ]
    root = runs.write(cells, [runs.method(x) for x in "abc"])
    (table, *_) = build(load_run(root))
    entries = {row.method: row.entries["psnr_full"] for row in table.rows}
    assert (entries["a"].mean.mean, entries["a"].mean.n, entries["a"].rank) == (None, 1, None)
    assert (entries["b"].rank, entries["c"].rank) == (1, 2)
    assert re.search(r"\| +1/2¹ \|", table_text(root))


def test_ranks_inside_each_group(runs):
    cells = [
        runs.cell(m, c, "fr", {"psnr_full": v})
        for m, c, v in [("a", "k", 1.0), ("b", "k", 2.0), ("a", "o", 2.0), ("b", "o", 1.0)]
    ]
    (table, *_) = build(load_run(runs.write(cells, [runs.method("a"), runs.method("b")])), by=["clip"])
    found = [(row.keys, row.method, row.entries["psnr_full"].rank) for row in table.rows]
    assert found == [(("k",), "a", 2), (("k",), "b", 1), (("o",), "a", 1), (("o",), "b", 2)]


def test_offsets_do_not_cancel(runs):
    metrics = [runs.metric("av_offset", "AV offset", "zero", decimals=1)]
    cells = [runs.cell("a", "k", "fr", {"av_offset": 5}), runs.cell("a", "o", "fr", {"av_offset": -5})]
    (table,) = build(load_run(runs.write(cells, [runs.method("a")], metrics=metrics)))
    assert table.rows[0].entries["av_offset"].mean.mean == 5


# ---- rows, columns, remarks -----------------------------------------------------------------------------------


def test_dubbed_is_the_last_row(runs):
    (table, *_) = build(load_run(runs.example()))
    assert [row.method for row in table.rows] == ["wav2lip", "lipnerf", "speech2vid", "still-mouth", "dubbed"]


def test_a_chosen_label_wins_over_the_title(runs):
    methods = [{**runs.method("fast", "Wav2Lip"), "id": "wav2lip"}, runs.method("wav2lip", "Wav2Lip")]
    cells = [runs.cell(x, "k", "fr", {"psnr_full": 1.0}) for x in ("fast", "wav2lip")]
    (table, *_) = build(load_run(runs.write(cells, methods)))
    assert [row.title for row in table.rows] == ["fast", "Wav2Lip"]


def test_the_longest_train_length_is_shown_and_named(runs):
    cells = [runs.cell("a", "k", "fr", {"psnr_full": v}, seconds=s) for s, v in [(3.0, 1.0), (10.0, 2.0)]]
    root = runs.write(cells, [runs.method("a")])
    (table, *_) = build(load_run(root))
    assert table.rows[0].entries["psnr_full"].mean.mean == 2.0
    assert table.remarks[0] == "trained on 10 s; `--by seconds` shows all 2 train lengths"
    whole = runs.write([*cells, runs.cell("a", "k", "fr", {"psnr_full": 7.0})], [runs.method("a")], name="whole")
    (table, *_) = build(load_run(whole))
    assert table.rows[0].entries["psnr_full"].mean.mean == 7.0
    assert table.remarks[0].startswith("trained on the whole clip")
    (table, *_) = build(load_run(whole), by=["seconds"])
    assert [(row.keys, row.entries["psnr_full"].mean.mean) for row in table.rows] == [
        ((3.0,), 1.0),
        ((10.0,), 2.0),
        ((None,), 7.0),
    ]
    assert "| whole clip" in table_text(whole, by=["seconds"])


def test_equal_titles_are_told_apart(runs):
    metrics = [runs.metric("psnr_full", "PSNR"), runs.metric("psnr_face", "PSNR"), runs.metric("ssim", "SSIM")]
    root = runs.write([runs.cell("a", "k", "fr", {})], [runs.method("a")], metrics=metrics)
    (table,) = build(load_run(root))
    assert [c.title for c in table.columns] == ["PSNR (psnr_full)", "PSNR (psnr_face)", "SSIM"]


def test_few_frames_are_mentioned(runs):
    scores = {"psnr_full": runs.score(1.0, n_valid=31, n_total=50), "lpips_full": runs.score(1.0, n_valid=45)}
    text = table_text(runs.write([runs.cell("a", "k", "fr", scores)], [runs.method("a")]))
    assert "measured on part of the frames: a PSNR 31/50\n" in text


def test_what_scores_carry_stands_below_the_table(runs, tmp_path):
    """A shift is said once for a method, with the number of its videos; twice of one video counts once."""
    late = {"text": "long", "short": "the video runs 1 frame behind the undubbed source"}
    said = runs.score(20.0, reason="long") | {"extra": {"remarks": [late]}}
    cells = [
        runs.cell("a", "k", "fr", {"psnr_full": said, "lpips_full": said}),
        runs.cell("a", "k", "de", {"psnr_full": runs.score(30.0), "lpips_full": 0.1}),
        runs.cell("b", "k", "fr", {"psnr_full": 30.0, "lpips_full": 0.1}),
        runs.cell("b", "k", "de", {"psnr_full": 30.0, "lpips_full": 0.1}),
    ]
    root = runs.write(cells, [runs.method("a", title="Ours"), runs.method("b")])
    for options in ({}, {"by": ["clip"]}):
        text = table_text(root, **options)
        assert text.count("- Ours: the video runs 1 frame behind the undubbed source (1 of 2 videos)\n") == 1
        assert "b: the video" not in text
    shutil.copytree(root, tmp_path / "again")
    both = table_text(root, tmp_path / "again")
    assert both.count("runs 1 frame behind the undubbed source (1 of 2 videos)") == 2


def test_columns_by_pattern_and_all(runs):
    run = load_run(runs.example())
    assert [c.id for c in build(run, metrics=["psnr_*"])[0].columns] == ["psnr_full", "psnr_mouth"]
    assert [c.id for c in build(run, metrics=["psnr_*"])[1].columns] == ["psnr_mouth_truth"]
    assert [c.id for c in build(run, metrics=["*_truth"])[0].columns] == ["psnr_mouth_truth"]
    assert "psnr_mouth" in [c.id for c in build(run, everything=True)[0].columns]
    with pytest.raises(UnknownName, match="did you mean psnr_full"):
        build(run, metrics=["psnr_ful"])


def test_definitions_only_when_asked_for(runs):
    root = runs.example()
    assert "psnr[mean of frames]" not in table_text(root)
    assert "\n- PSNR: psnr[mean of frames]\n" in table_text(root, definitions=True)


def test_no_truth_table_without_truth(runs):
    root = runs.write([runs.cell("a", "k", "fr", {"psnr_full": 1.0})], [runs.method("a")])
    assert len(build(load_run(root))) == 1
    assert "against the truth" not in table_text(root)


def test_sync_model_is_always_named(runs):
    cells = [runs.cell("a", "k", "fr", {"lse_d": 7.0})]
    root = runs.write(cells, [runs.method("a")], sync_model="demo")
    for form in ("md", "tex", "csv", "json"):
        assert "demo" in table_text(root, format=form)
    assert "weights missing" not in table_text(root)


def test_nothing_to_show(runs):
    with pytest.raises(NothingComparable):
        table_text(runs.write([], [runs.method("a")]))
    with pytest.raises(UsageError, match="published numbers"):
        table_text(runs.example(name="b"), by=["clip"], paper=True)


def test_published_numbers_are_not_ranked(runs):
    tables = build(load_run(runs.example()), paper=True)
    paper = [row for row in tables[0].rows if row.kind == "paper"]
    assert [(row.method, row.clips) for row in paper] == [("wav2lip", 0), ("lipnerf", 0)]
    assert all(entry.rank is None for row in paper for entry in row.entries.values())
    data = json.loads(table_text(runs.example(name="b"), format="json", paper=True))
    assert data["rows"][-1]["paper"] is True
    assert data["rows"][-1]["metrics"]["lse_d"] == {"mean": 7.0, "n": 0, "total": 0, "reason": None}


# ---- writers --------------------------------------------------------------------------------------------------


def test_json_has_exactly_the_promised_fields(runs):
    root = runs.example()
    data = json.loads(table_text(root, format="json"), parse_constant=lambda text: pytest.fail(text))
    assert set(data) == {"run", "sync_model", "cells", "rows"}
    for row in data["rows"]:
        assert set(row) == {"method", "metrics"}
        for value in row["metrics"].values():
            assert set(value) == {"mean", "n", "total", "reason"}
    assert data["rows"][-1]["metrics"]["psnr_full"]["mean"] == "inf"
    keys = ["clip", "lang", "seconds"]
    rows = json.loads(table_text(root, format="json", by=keys))["rows"]
    assert all(set(row) == {"method", "metrics", "clip", "language", "train_seconds"} for row in rows)
    assert len(rows) == 20


def test_csv_keeps_full_precision(runs):
    lines = list(csv.DictReader(io.StringIO(table_text(runs.example(), format="csv"))))
    assert float(lines[1]["lpips_full"]) == pytest.approx(0.0501, abs=1e-15)
    assert (lines[1]["lpips_full_n"], lines[1]["clips"]) == ("2", "2")
    assert lines[2]["psnr_full"] == ""
    assert lines[-1]["psnr_full"] == "inf"


def test_markdown_is_aligned_and_escaped(runs):
    root = runs.write([runs.cell("a|b", "k", "fr", {"psnr_full": 1.0})], [runs.method("a|b")])
    lines = [line for line in table_text(root).splitlines() if line.startswith("|")]
    assert len({len(line) for line in lines}) == 1
    assert r"a\|b" in lines[2]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_latex_is_well_formed(runs):
    methods = [runs.method("a_b", r"50% & #1 {x} \y ^ ~ $ < >")]
    text = table_text(
        runs.write([runs.cell("a_b", "k", "fr", {"psnr_full": 1.0})], methods, name="my_run"), format="tex"
    )
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    stripped = re.sub(r"\\[\\{}%&#$_]", "", body)
    assert stripped.count("{") == stripped.count("}")
    assert stripped.count("$") % 2 == 0
    assert not re.search(
        r"(?<!\\)[%#~]",
        body.replace(r"\providecommand", "")
        .replace("[1]{\\textbf{#1}}", "")
        .replace("[1]{\\underline{#1}}", "")
        .replace("[1]{\\textit{#1}}", ""),
    )
    for name in ("table", "tabular"):
        assert body.count(rf"\begin{{{name}}}") == body.count(rf"\end{{{name}}}")
    columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", body)[1])
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}
    assert body.isascii()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(runs, tmp_path):
    (tmp_path / "t.tex").write_text(table_text(runs.example(), format="tex", paper=True))
    (tmp_path / "doc.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\usepackage{xcolor}\begin{document}\input{t}\end{document}"
    )
    subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "doc"], cwd=tmp_path, check=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a_b", r"a\_b"),
        ("50%", r"50\%"),
        ("a\\b", r"a\textbackslash{}b"),
        ("{x}", r"\{x\}"),
        ("é – ü", "é -- ü"),
        ("two\nlines", "two lines"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
    ],
)
def test_latex_escape(text, expected):
    assert escape(text) == expected


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (1.005, 1, "1.0"),
        (-0.0001, 3, "0.000"),
        (float("inf"), 2, "inf"),
        (float("-inf"), 2, "-inf"),
        (-1.26, 1, "-1.3"),
        (7.0, 0, "7"),
    ],
)
def test_shown(value, decimals, expected):
    assert shown(value, decimals) == expected
