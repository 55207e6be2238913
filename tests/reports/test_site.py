"""The leaderboard and the index over reports: what stands together, links that lead somewhere, records beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from lipbench.cli import group
from lipbench.core.errors import UsageError
from lipbench.reports.site import write
from lipbench.reports.site.boards import boards
from lipbench.reports.tables import table_text


def addresses(page: Path) -> list[str]:
    return re.findall(r'href="([^"#:]+)"', page.read_text(encoding="utf-8"))


@pytest.fixture
def site(runs, tmp_path):
    """Two runs of one data set, one of another."""
    folders = [runs.example(name=name, manifest_digest="m1", corpus={"name": "films"}) for name in ("a", "b")]
    cells = [runs.cell("wav2lip", "x", "it", {"psnr_full": 30.0, "lse_d": 8.0})]
    folders.append(runs.write(cells, [runs.method("wav2lip", "Wav2Lip")], name="c", manifest_digest="m2"))
    return write(folders, tmp_path / "site"), folders


def test_runs_stand_together_where_they_compare(site):
    made, folders = site
    assert (made.boards, made.runs) == (2, 3)
    found = boards(folders)
    assert [[run.name for run in board.runs] for board in found] == [["a", "b"], ["c"]]
    assert len(boards([folders[0], folders[0]])) == 1


def test_every_link_leads_to_a_file(site):
    made, _ = site
    pages = list(made.index.parent.rglob("*.html"))
    assert len(pages) == made.pages
    for page in pages:
        for address in addresses(page):
            assert (page.parent / address).exists(), (page, address)


def test_a_page_for_each_method_and_data_set(site):
    made, _ = site
    root = made.index.parent
    assert {p.name for p in (root / "dataset").iterdir()} == {
        "films-sync-model-syncnet-v2.html",
        "c-sync-model-syncnet-v2.html",
    }
    own = (root / "method" / "wav2lip.html").read_text()
    assert "8.000" in own
    assert "LipNeRF</" not in own


def test_the_records_beside_the_pages_give_the_same_table(site):
    made, folders = site
    copy = made.index.parent / "runs" / "a"
    assert {p.name for p in copy.iterdir()} == {"run.json", "cells.jsonl"}
    assert table_text(copy, format="json", by=["lang"]) == table_text(folders[0], format="json", by=["lang"])


def test_published_numbers_are_gray_with_their_source_and_only_where_they_compare(site, runs, tmp_path):
    made, _ = site
    text = made.index.read_text()
    assert re.search(r'<tr class="paper">\s*<th scope="row"[^>]*><a [^>]*>LipNeRF †</a>', text)
    assert "† published, on other data: Table I of the LipNeRF paper, FG 2023" in text
    methods = [runs.method("ours", "Ours", paper_results={"lse_d": 7.77})]
    cells = [runs.cell("ours", "x", "fr", {"lse_d": 5.0})]
    there = write([runs.write(cells, methods, name="p1")], tmp_path / "s1").index.read_text()
    assert "7.770" in there
    blank = [{**m, "published": ""} for m in runs.METRICS]
    gone = write([runs.write(cells, methods, name="p2", metrics=blank)], tmp_path / "s2").index.read_text()
    assert "7.770" not in gone
    assert 'class="paper"' not in gone


def test_any_name_has_a_page(runs, tmp_path):
    labels = ["x" * 80, r"$\frac{x}$", "<script>", "../up", "ü"]
    cells = [runs.cell(label, "x", "fr", {"psnr_full": 30.0}) for label in labels]
    made = write([runs.write(cells, [runs.method(label) for label in labels])], tmp_path / "site")
    assert made.pages == 2 + len(labels)
    assert len(list((tmp_path / "site" / "method").iterdir())) == len(labels)
    assert "<script>&" not in made.index.read_text()
    assert "&lt;script&gt;" in made.index.read_text()


def test_site_command(runs, tmp_path):
    found = CliRunner().invoke(group, ["site", str(runs.example()), "-o", str(tmp_path / "s"), "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.output)["tables"] == 1
    with pytest.raises(UsageError, match="needs runs"):
        write([], tmp_path / "s")


def test_several_reports_get_an_index_with_a_trend(runs, tmp_path):
    folders = [runs.example(name=name) for name in ("night-1", "night-2")]
    out = tmp_path / "reports"
    found = CliRunner().invoke(group, ["report", *map(str, folders), "-o", str(out), "--json"])
    assert found.exit_code == 0, found.output
    answer = json.loads(found.output)
    assert [Path(one["page"]).parent.parent for one in answer["reports"]] == folders
    text = (out / "index.html").read_text()
    assert "night-1" in text
    assert "No method beats Still mouth on lip sync" in text  # what each page says first
    assert text.count('aria-label="Trend of ') >= 2
    for address in addresses(out / "index.html"):
        assert (out / address).exists()
    for wrong in (["--single-file"], ["--gate", str(folders[0] / "run.json")]):
        bad = CliRunner().invoke(group, ["report", *map(str, folders), *wrong])
        assert isinstance(bad.exception, UsageError)
