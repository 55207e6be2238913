"""Tables for papers: their columns and rows, their numbers, what is said below, and that TeX takes them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from click.testing import CliRunner

from lipbench.cli import group
from lipbench.core.errors import UsageError
from lipbench.reports.frame import load_run
from lipbench.reports.latex_wide import wide


def rows_of(text: str) -> dict[str, list[str]]:
    """First cell -> the others, of every line of the table's body."""
    found = {}
    for line in text[text.index(r"\toprule") :].splitlines():
        if line.endswith(r"\\"):
            first, *cells = line.removesuffix(r"\\").strip().split(" & ")
            found[first.strip()] = [cell.strip() for cell in cells]
    return found


@pytest.fixture
def run(runs):
    return load_run(runs.example())


def test_means_with_intervals_and_marks(run):
    rows = rows_of(wide(run))
    assert rows["Method"] == [
        r"AV offset $\rightarrow$0",
        r"PSNR mouth $\uparrow$",
        r"PSNR $\uparrow$",
        r"LPIPS $\downarrow$",
    ]
    # katie 35.004, office 31.0: half = t(0.975, 1) sd / sqrt 2 = 12.7062 * 2.002
    assert rows["Wav2Lip"][2] == r"\lbfirst{33.00}\,{\tiny$\pm$25.44}"
    assert rows["LipNeRF"][2].startswith(r"\lbfirst{33.00}")
    assert rows["Still mouth"][2] == r"35.00\,{\tiny$\pm$0.00}"
    assert rows["Dubbed"][2] == r"$\infty$"
    assert list(rows)[-2:] == ["Still mouth", "Dubbed"]  # controls last


def test_what_is_missing_has_a_short_note_without_folders(runs):
    reason = "weights_missing: no /home/me/.cache/lipbench/weights/syncnet_v2 " + "and so on " * 30
    cells = [
        runs.cell("a", "x", "fr", {"psnr_full": 30.0}),
        runs.cell("a", "y", "fr", {"psnr_full": runs.score(None, reason)}),
        runs.cell("b", "x", "fr", {"psnr_full": 31.0}),
        runs.cell("b", "y", "fr", {"psnr_full": 31.0}),
    ]
    text = wide(load_run(runs.write(cells, [runs.method("a"), runs.method("b")])))
    assert rows_of(text)["a"][0] == r"1/2\textsuperscript{1}"
    note = re.search(r"\\footnotesize (.*)}", text)[1]
    assert note.startswith(r"\textsuperscript{1}~no syncnet\_v2 and so on")
    assert len(note) < 140
    assert "/home" not in text


def test_languages_as_blocks(run):
    text = wide(run, by=["lang"], metrics=["psnr_full", "lpips_full"])
    assert r"\multicolumn{2}{c}{de} & \multicolumn{2}{c}{fr} \\" in text
    assert r"\cmidrule(lr){2-3} \cmidrule(lr){4-5}" in text
    rows = rows_of(text)
    assert [cell.split(r"\,")[0] for cell in rows["Wav2Lip"]] == [
        r"\lbfirst{34.00}",
        r"\lbfirst{0.060}",
        r"\lbthird{32.00}",
        r"\lbfirst{0.040}",
    ]
    with pytest.raises(UsageError, match="published numbers"):
        wide(run, by=["lang"], paper=True)
    with pytest.raises(UsageError, match="has no --by clip"):
        wide(run, by=["clip"])


def test_the_papers_table_one(run):
    text = wide(run, layout="lipnerf-table-1", paper=True)
    rows = rows_of(text)
    assert rows["Method"] == [r"LSE-D $\downarrow$", r"PSNR $\uparrow$", r"LPIPS $\downarrow$"]
    own = [name for name in rows if not name.startswith((r"\lbpaper", "Method"))]
    assert own == ["Speech2Vid", "Wav2Lip", "LipNeRF", "Still mouth", "Dubbed"]  # the paper's order
    assert rows["LipNeRF"][1] == r"\lbfirst{33.00}"
    assert rows[r"\lbpaper{LipNeRF \textdagger{}}"] == [r"\lbpaper{7.00}", r"\lbpaper{31.50}", r"\lbpaper{--}"]
    assert r"\tiny" not in text
    with pytest.raises(UsageError, match="columns of its own"):
        wide(run, layout="lipnerf-table-1", metrics=["psnr_full"])


def test_caption_and_label(run):
    text = wide(run, mark="significant")
    assert r"\label{tab:real}" in text
    assert "means over 2 clips, in 2 languages" in text
    assert "sign-flip" in text
    assert r"\begin{table}[t]" in text


def test_command(runs, tmp_path):
    root = str(runs.example())
    out = tmp_path / "t.tex"
    assert CliRunner().invoke(group, ["table", root, "--layout", "wide", "-o", str(out)]).exit_code == 0
    assert r"\label{tab:real}" in out.read_text()
    for wrong in (["--format", "md"], ["--json"], ["--all"], ["-o", str(tmp_path / "x.csv")]):
        found = CliRunner().invoke(group, ["table", root, "--layout", "wide", *wrong])
        assert isinstance(found.exception, UsageError)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here (Debian: texlive-latex-recommended)")
@pytest.mark.parametrize("label", ["plain", r"$\frac{x}$ & 50 % _ # ~ ^ \ {", "x" * 80, "Ü – “ä”"])
def test_tex_takes_it(runs, tmp_path, label):
    cells = [runs.cell(m, c, "fr", {"psnr_full": 30.0}) for m in (label, "b") for c in ("x", "y")]
    run = load_run(runs.write(cells, [runs.method(label), runs.method("b", paper_results={"psnr_full": 31.0})]))
    tables = [wide(run, paper=True), wide(run, by=["lang"]), wide(run, layout="lipnerf-table-1", paper=True)]
    packages = r"\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs}\usepackage{xcolor}"
    page = [r"\documentclass[twocolumn]{article}", packages, r"\begin{document}", *tables, r"\end{document}"]
    (tmp_path / "page.tex").write_text("\n".join(page), encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stdout[-1500:]
